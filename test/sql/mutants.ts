import { createHash } from 'node:crypto';
import { loadModule, scanSync } from 'libpg-query';
import { BOMBS, hostileExpressions, hostileQueries, hostileRelations, type Victim } from './attacks.ts';

await loadModule();

/** Where a value may stand. */
export const EXPRESSION_HOLES: readonly string[] = [
  'select @',
  'select @ as x from customers',
  'select name, @ from customers order by 1',
  'select 1 from customers where @ is not null',
  'select 1 from customers where name = (@)::text',
  'select (@, 1)',
  'select array[@]',
  'select case when @ is null then 1 else 2 end',
  'select case (@)::text when $$x$$ then 1 end',
  'select coalesce(null, @)',
  'select greatest(1::text, (@)::text)',
  'select nullif(@, null)',
  'select upper((@)::text)',
  'select count(@) from customers',
  'select count(*) filter (where @ is null) from customers',
  'select array_agg(name order by @) from customers',
  'select sum(1) over (partition by @) from customers',
  'select sum(1) over (order by @) from customers',
  'select row_number() over w from customers window w as (order by @)',
  'select percentile_disc(0.5) within group (order by @) from customers',
  'select name from customers group by name, @',
  'select 1 from customers group by rollup (@)',
  'select count(*) from customers having @ is not null',
  'select distinct on (@) name from customers',
  'select name from customers order by @ desc nulls last',
  'select 1 limit (select count(@))',
  'select 1 offset (select count(@))',
  'select (select @)',
  'select exists (select @)',
  'select 1 where 1 in (select count(@))',
  'select 1 where 1 = any (array(select count(@)))',
  'select * from (select @ as x) s',
  'select * from customers c cross join lateral (select @ as x) l',
  'select * from customers c join customers d on @ is not null',
  'select * from unnest(array[@]) u',
  'select * from rows from (unnest(array[@]), generate_series(1, 2)) r',
  'values (@)',
  'values (1), (count((@)::text))',
  'with c as (select @ as x) select * from c',
  'with c as materialized (select @ as x) select 1',
  'with recursive r as (select 1 as n union all select n + 1 from r where @ is null) select * from r',
  'select 1 union all select count(@)',
  'select 1 intersect (select count(@) from customers)',
  'select (array[1, 2])[(@)::text::int]',
  'select not (@ is null) and true',
  'select 1 where (@)::text between $$a$$ and $$b$$',
  'select 1 where (@)::text like $$a%$$ escape $$!$$',
  'select 1 where (@) is distinct from null',
  'select (@)::text collate "C"',
  'select jsonb_build_object($$k$$, @)',
  'select concat_ws($$,$$, $$a$$, @)',
  'select make_interval(days => (@)::text::int)',
  'select extract(year from now()) + count(@)',
  'select string_agg((@)::text, $$,$$)',
  'select json_build_array(@)',
  'select grouping(name), count(@) from customers group by name',
  'select grouping(@) from customers group by grouping sets ((@), ())',
  'select 1 where row(1, (@)::text) = row(1, null)',
  'select 1 where (1, (@)::text) in (select 1, null)',
  'select (@)::text::char(10), cast((@)::text as varchar)',
  'select name from customers order by (@)::text using <',
  'select sum(1) over (order by name rows between count(@) preceding and current row) from customers group by name',
  "select json_object('a': @), json_array(@, 2)",
  'select json_arrayagg(@), json_objectagg(name : @) from customers',
  "select json_value('{}', '$.a' passing @ as x default (@)::text on empty)",
  'select now() at time zone (@)::text',
  "select overlay('abc' placing (@)::text from 1), position((@)::text in 'abc')",
  "select concat(variadic array['a', (@)::text])",
  "select format('%s', @), lpad((@)::text, 5)",
  'select (array[[1, 2], [3, 4]])[count(@):2]',
  'select name from customers where (name, country) = ((@)::text, null) or @ is null',
  'with recursive r as (select 1 as n union all select 2) search depth first by n set o select @ from r',
];

/** Where a table may stand. */
export const RELATION_HOLES: readonly string[] = [
  'select * from @',
  'select 1 from customers, @',
  'select 1 from customers cross join @',
  'select 1 from customers left join @ on true',
  'select 1 from @ join customers on true',
  'select (select count(*) from @)',
  'select exists (select from @)',
  'select * from (select * from @) outermost',
  'with c as (select * from @) select * from c',
  'with c as (select 1), d as (select 2 from @) select 1',
  'with recursive r as (select 1 as n union all select n + 1 from r, @ where n < 2) select * from r',
  'select 1 union all select 2 from @',
  'select 1 from customers where id in (select null::uuid from @)',
  'select 1 from customers cross join lateral (select 1 from @) l',
  'select 1 where 1 = any (select 1 from @)',
  'select array(select 1 from @)',
  'select 1 limit (select count(*) from @)',
  'select count(*) over (order by (select 1 from @)) from customers',
  'select case when exists (select 1 from @) then 1 end',
  '(select 1 from @)',
];

/** Where a query may stand, in parentheses that hold a clause of its own together. */
export const QUERY_HOLES: readonly string[] = [
  '@',
  '(@)',
  'select * from (@) as inside',
  'select 1 from customers c cross join lateral (@) l',
  'select exists (@)',
  'select 1 where 1 in (select 1 from (@) x)',
  'with c as (@) select 1 from c',
  'with c as not materialized (select 1), d as (@) select 1 from c, d',
  '(@) union all (@)',
  'select 1 from customers where exists (@) order by name',
  'select array(select 1 from (@) x)',
];

/** A query inside a query. `as q` is left out where its columns have no name. */
export const WRAPS: readonly string[] = [
  'select * from (@) as wrapped',
  'with wrapped as (@) select count(*) from wrapped',
  'select exists (@)',
  '(@) union all (@)',
  '/* ( */ (@) -- )\n',
  'with pg as (select 1), w as (with inner_w as (@) select count(*) from inner_w) select * from w',
  'select count(*) from customers where exists (@) or name is null',
  'with recursive wrapped as (@) select count(*) from wrapped',
  '@;',
];

export interface Mutant {
  text: string;
  seed: string;
}

/** What mutants are made of: values, tables and whole queries. */
export interface Seeds {
  expressions: readonly string[];
  relations: readonly string[];
  queries: readonly string[];
}

export function hostileSeeds(victim: Victim): Seeds {
  return {
    expressions: [...hostileExpressions(victim), ...BOMBS],
    relations: hostileRelations(victim),
    queries: hostileQueries(victim),
  };
}

/** The same mutants for the same seed: an attack in a hole, wrapped up to three times, and written oddly. */
export function* makeMutants(
  count: number,
  seed: number,
  { expressions, relations, queries }: Seeds,
): Generator<Mutant> {
  const random = createRandom(seed);
  const kinds: [number, readonly string[], readonly string[]][] = [
    [0.5, expressions, EXPRESSION_HOLES],
    [0.8, relations, RELATION_HOLES],
    [1, queries, QUERY_HOLES],
  ];
  for (let i = 0; i < count; i += 1) {
    const draw = random();
    const [, attacks, holes] = kinds.find(([share]) => draw < share) ?? [1, queries, QUERY_HOLES];
    const attack = pick(random, attacks);
    let text = fill(pick(random, holes), attack);
    for (let wraps = Math.floor(random() * 4); wraps > 0; wraps -= 1) text = fill(pick(random, WRAPS), text);
    yield { text: disguise(text, random), seed: attack };
  }
}

export function fill(hole: string, what: string): string {
  return hole.replaceAll('@', () => what.replace(/;$/, ''));
}

/** The same tokens, but with comments and blanks between them, in other letters, and names in other quotes. */
export function disguise(text: string, random: () => number): string {
  const bytes = Buffer.from(text);
  const strength = random();
  let written = '';
  let last = 0;
  for (const { start, end, tokenName } of scanSync(text).tokens) {
    const between = bytes.subarray(last, start).toString();
    const token = bytes.subarray(start, end).toString();
    // The end of the line is the end of a comment too.
    written += /^ +$/.test(between) && random() < strength / 3 ? pick(random, BLANKS) : between;
    written += random() < strength / 2 ? disguiseToken(token, tokenName, random) : token;
    last = end;
  }
  return written + bytes.subarray(last).toString();
}

/** Numbers from 0 to 1, the same for the same seed. */
export function createRandom(seed: number): () => number {
  let drawn = 0;
  return () => {
    const digest = createHash('sha256').update(`${seed}/${drawn}`).digest();
    drawn += 1;
    return digest.readUInt32BE(0) / 2 ** 32;
  };
}

// Private

const BLANKS = [' /* */ ', '\n', '\t\t', ' -- ;\n', ' /* /* nested */ */ ', '\f', '\r\n'];

function disguiseToken(token: string, name: string, random: () => number): string {
  if (name !== 'IDENT' || token.startsWith('"')) return /^[a-z_]+$/i.test(token) ? swapCase(token, random) : token;
  const plain = token.toLowerCase();
  return pick(random, [
    () => `"${plain}"`,
    () => `U&"${escapeLetters(plain, random)}"`,
    () => swapCase(token, random),
  ])();
}

function swapCase(word: string, random: () => number): string {
  return [...word].map(letter => (random() < 0.5 ? letter.toUpperCase() : letter)).join('');
}

function escapeLetters(word: string, random: () => number): string {
  return [...word]
    .map(letter => {
      const code = letter.codePointAt(0) ?? 0;
      if (random() < 0.5) return letter;
      return random() < 0.5 ? `\\${code.toString(16).padStart(4, '0')}` : `\\+${code.toString(16).padStart(6, '0')}`;
    })
    .join('');
}

function pick<T>(random: () => number, from: readonly T[]): T {
  const picked = from[Math.floor(random() * from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

/** The words that a query may use beside the names of its tables and columns. */
export const FUNCTIONS = words(`
  any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg
  json_agg_strict json_object_agg jsonb_agg jsonb_agg_strict jsonb_object_agg max min mode percentile_cont percentile_disc
  range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum
  var_pop var_samp variance
  cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number

  ascii bit_count bit_length btrim casefold char_length character_length chr concat concat_ws convert_from convert_to crc32
  crc32c decode encode format get_bit get_byte initcap is_normalized left length like_escape lower lpad ltrim md5 normalize octet_length overlay position
  quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like regexp_match regexp_matches
  regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr replace reverse right rpad rtrim set_bit set_byte
  sha224 sha256 sha384 sha512 similar_to_escape split_part starts_with string_to_array string_to_table strpos substr substring to_bin
  to_hex to_oct translate unistr upper

  abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd degrees div
  erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod num_nonnulls num_nulls pg_size_pretty pi point pow power
  radians random random_normal round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket

  age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
  justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps
  statement_timestamp timezone to_char to_date to_number to_timestamp transaction_timestamp
  gen_random_uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7

  array_to_json json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
  json_each json_each_text json_extract_path json_extract_path_text json_object json_object_keys json_strip_nulls
  json_to_record json_to_recordset json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length
  jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text
  jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
  jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
  jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb

  array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions array_prepend
  array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_string array_upper cardinality
  generate_series generate_subscripts trim_array unnest
  datemultirange daterange int4multirange int4range int8multirange int8range isempty lower_inc lower_inf multirange
  nummultirange numrange range_merge tsmultirange tsrange tstzmultirange tstzrange upper_inc upper_inf
  broadcast family host hostmask inet_merge inet_same_family masklen netmask network set_masklen

  array_to_tsvector json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree setweight
  strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array
  websearch_to_tsquery`);

/** As the grammar names them: `integer` is int4, `char(3)` is bpchar. Nothing that looks a name up in the catalog. */
export const TYPES = words(`
  bit bool bpchar bytea cidr date datemultirange daterange float4 float8 inet int2 int4 int4multirange int4range int8
  int8multirange int8range interval json jsonb jsonpath macaddr nummultirange numeric numrange point text time timestamp
  timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector uuid varbit varchar`);

/** Those of one column that has a name of its own, whatever the alias in FROM. */
export const NAMED_RESULTS = words(
  'json_array_elements json_array_elements_text jsonb_array_elements jsonb_array_elements_text',
);

/** What a column is called that nobody named, beside the names of functions and types. */
export const UNNAMED_COLUMNS = words(`
  ?column? array case coalesce current_date current_time current_timestamp exists greatest grouping json_array
  json_array_agg json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_value
  key least localtime localtimestamp nullif ordinality row value`);

/** What the grammar makes of CURRENT_DATE and the like; their neighbours tell who and where we are. */
export const TIMES = /^SVFOP_(CURRENT_(DATE|TIME|TIMESTAMP)|LOCALTIME(STAMP)?)(_N)?$/;

/** Every table of Postgres has them; they tell where a row lies, and when it was written. */
export const ROW_ADDRESSES = words('cmax cmin ctid tableoid xmax xmin');

// Private

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

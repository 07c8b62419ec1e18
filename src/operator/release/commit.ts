import { orDidYouMean } from '../../did-you-mean.ts';
import { FrameError } from '../../errors.ts';
import { lastLines, runProgram } from '../program.ts';

/** A commit that may become a release. */
export interface Commit {
  /** `20261120T135514Z-aaae36e`: of the commit, not of the build. */
  id: string;
  commit: string;
}

/**
 * What of a work tree a gateway runs with. customers.yaml of all companies goes to no machine, and deploy.yaml may name
 * some of them; a stand-in for Entra has no business on any.
 */
export const RELEASED = [
  'src',
  ':(exclude)src/demo',
  'config',
  ':(exclude)config/deploy.yaml',
  'package.json',
  'package-lock.json',
  'scripts/frame',
];

/**
 * A branch, a tag or a commit; without one, what is checked out.
 * @throws FrameError `deploy/refused` when there is no such commit
 */
export async function resolveCommit(root: string, ref = 'HEAD'): Promise<Commit> {
  const asked = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`];
  const { exit, out } = await runGit(root, asked);
  if (exit !== 0) throw await noSuchRef(root, ref);
  const commit = out.trim();
  const seconds = Number(await git(root, ['show', '--no-patch', '--no-show-signature', '--format=%ct', commit]));
  const time = new Date(seconds * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return { id: `${time}-${commit.slice(0, 7)}`, commit };
}

/** What is not committed would not be in the release, and whoever typed the command may not know. */
export async function refuseUnclean(root: string): Promise<void> {
  const changed = (await git(root, ['status', '--porcelain', '--', ...RELEASED])).split('\n').filter(Boolean);
  if (changed.length === 0) return;
  const [first = ''] = changed.map(line => line.slice(3));
  const which = changed.length === 1 ? first : `${first} and ${changed.length - 1} more`;
  throw new FrameError('deploy/refused', `There are changes that are not committed: ${which}.`, {
    hint: 'Commit them, or say what to deploy: --ref HEAD takes the last commit without them.',
  });
}

/** A release that only this laptop can build again is none. Looks at what is known here of the remote; asks nobody. */
export async function refuseUnpushed(root: string, { commit }: Commit): Promise<void> {
  const remotes = await git(root, ['remote']);
  if (remotes === '' || (await git(root, ['branch', '--remotes', '--contains', commit])) !== '') return;
  throw new FrameError(
    'deploy/refused',
    `The commit ${commit.slice(0, 7)} is on no branch of a remote: push it first.`,
    {
      hint: 'Nobody else could build this release, or see what runs.',
    },
  );
}

/** The released files of a commit, as a tar file; the same on a laptop whose git turns line ends or files around. */
export async function archive(root: string, { commit }: Commit, file: string): Promise<void> {
  await git(root, ['archive', '--format=tar', `--output=${file}`, commit, '--', ...RELEASED], AS_COMMITTED);
}

// Private

const AS_COMMITTED = ['core.autocrlf=false', 'core.eol=lf', 'core.attributesFile=/dev/null'];

async function noSuchRef(root: string, ref: string): Promise<FrameError> {
  const refs = await git(root, [
    'for-each-ref',
    '--format=%(refname:short)',
    'refs/heads',
    'refs/tags',
    'refs/remotes',
  ]);
  const known = refs.split('\n').filter(Boolean);
  return new FrameError(
    'deploy/refused',
    `There is no branch, tag or commit \`${ref}\`${orDidYouMean(ref, known) || '.'}`,
    {
      hint: 'When it is new on the remote: git fetch.',
    },
  );
}

async function git(root: string, args: readonly string[], settings: readonly string[] = []): Promise<string> {
  const { exit, out, err } = await runGit(root, [...settings.flatMap(setting => ['-c', setting]), ...args]);
  if (exit === 0) return out.trimEnd();
  const hint = 'Releases are built from a git clone of Frame.';
  if (/not a git repository/.test(err)) {
    throw new FrameError('deploy/refused', 'Frame is not a git repository here.', { hint });
  }
  throw new FrameError('deploy/failed', `git ${args[0]}: ${lastLines(err) || `exit ${exit}`}`, { hint });
}

/** Inside a hook of git, its variables would lead to another repository. */
function runGit(root: string, args: readonly string[]) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')));
  return runProgram('git', args, { cwd: root, env: { ...env, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0' } });
}

import type { HostFacts } from './protocol.ts';

/** Where the daemons run, and as whom. */
export interface Machine {
  /** Absolute, without control characters. */
  home: string;
  user: string;
}

/**
 * What keeps Frame alive on a machine, as files for its supervisor, by name: the two slots, the proxy, and the rotation
 * of their logs. One description, two languages; none with `none`.
 */
export function renderUnits(machine: Machine, { ports, supervisor }: HostFacts): Record<string, string> {
  if (supervisor === 'none') return {};
  const daemons = describeDaemons(ports);
  const rendered = daemons.flatMap(daemon =>
    supervisor === 'launchd' ? [toPlist(daemon, machine)] : toSystemd(daemon, machine),
  );
  return Object.fromEntries(rendered);
}

export const USUAL_PORTS: HostFacts['ports'] = { blue: 3710, green: 3711, proxy: 3712 };

/** What the units run: they come with the agent, and in `bin` they have one place, whichever version of it does. */
export const SCRIPTS = ['run-slot', 'run-proxy', 'rotate-logs'] as const;

/** Where the supervisor reads them; only root writes there. */
export const UNIT_FOLDERS = { launchd: '/Library/LaunchDaemons', systemd: '/etc/systemd/system' } as const;

// Private

interface Daemon {
  name: string;
  about: string;
  /** A script in `bin`, with its arguments. */
  script: [name: (typeof SCRIPTS)[number], ...args: string[]];
  /** Kept alive, or run once every so often. */
  life: 'always' | 'hourly';
}

const RESTART_SECONDS = 1;
/** After this a slot that was told to end is killed; it drains for less. */
const STOP_SECONDS = 30;
const OPEN_FILES = 8192;

function describeDaemons({ blue, green, proxy }: HostFacts['ports']): Daemon[] {
  return [
    { name: 'blue', about: 'the slot blue', script: ['run-slot', 'blue', `${blue}`], life: 'always' },
    { name: 'green', about: 'the slot green', script: ['run-slot', 'green', `${green}`], life: 'always' },
    { name: 'proxy', about: 'the proxy', script: ['run-proxy', `${blue}`, `${green}`, `${proxy}`], life: 'always' },
    { name: 'logs', about: 'rotation of logs', script: ['rotate-logs'], life: 'hourly' },
  ];
}

/** /bin/sh stands in front: a script is found there whatever its folder is called, and also where nothing may be run. */
function commandOf({ script: [name, ...args] }: Daemon, { home }: Machine): string[] {
  return ['/bin/sh', `${home}/bin/${name}`, ...args];
}

function logOf({ name }: Daemon, { home }: Machine): string {
  return `${home}/log/${name}.log`;
}

// launchd

type Plist = string | number | boolean | string[] | { [key: string]: Plist };

/** Daemons, not agents: those end when their user logs out, and a Mac mini has nobody who logs in. */
function toPlist(daemon: Daemon, machine: Machine): [name: string, text: string] {
  const label = `ai.frame.${daemon.name}`;
  const log = logOf(daemon, machine);
  const life: { [key: string]: Plist } = {
    // Without a type, launchd slows a daemon down as background work.
    always: { RunAtLoad: true, KeepAlive: true, ThrottleInterval: RESTART_SECONDS, ProcessType: 'Interactive' },
    hourly: { StartInterval: 3600 },
  }[daemon.life];
  const facts: Plist = {
    Label: label,
    UserName: machine.user,
    ProgramArguments: commandOf(daemon, machine),
    ...life,
    ExitTimeOut: STOP_SECONDS,
    SoftResourceLimits: { NumberOfFiles: OPEN_FILES },
    StandardOutPath: log,
    StandardErrorPath: log,
  };
  return [
    `${label}.plist`,
    `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
${toXml(facts)}
</plist>
`,
  ];
}

function toXml(value: Plist, margin = ''): string {
  const inner = `${margin}  `;
  if (typeof value === 'string') return `${margin}<string>${escapeXml(value)}</string>`;
  if (typeof value === 'number') return `${margin}<integer>${value}</integer>`;
  if (typeof value === 'boolean') return `${margin}<${value}/>`;
  const [tag, lines] = Array.isArray(value)
    ? ['array', value.map(item => toXml(item, inner))]
    : [
        'dict',
        Object.entries(value).map(([key, item]) => `${inner}<key>${escapeXml(key)}</key>\n${toXml(item, inner)}`),
      ];
  return [`${margin}<${tag}>`, ...lines, `${margin}</${tag}>`].join('\n');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

// systemd

function toSystemd(daemon: Daemon, machine: Machine): [name: string, text: string][] {
  const name = `frame-${daemon.name}`;
  const isHourly = daemon.life === 'hourly';
  const service = [
    '[Unit]',
    `Description=Frame: ${daemon.about}`,
    'After=network.target postgresql.service',
    // However often it ends, it is started again.
    ...(isHourly ? [] : ['StartLimitIntervalSec=0']),
    '',
    '[Service]',
    ...(isHourly ? ['Type=oneshot'] : ['Type=exec', 'Restart=always', `RestartSec=${RESTART_SECONDS}`]),
    `User=${machine.user}`,
    `ExecStart=${commandOf(daemon, machine).map(quoteExec).join(' ')}`,
    'KillSignal=SIGTERM',
    `TimeoutStopSec=${STOP_SECONDS}`,
    `LimitNOFILE=${OPEN_FILES}`,
    `StandardOutput=append:${escapePercent(logOf(daemon, machine))}`,
    'StandardError=inherit',
    ...HARDENING,
    ...(isHourly ? [] : ['', '[Install]', 'WantedBy=multi-user.target']),
  ];
  const unit: [string, string] = [`${name}.service`, `${service.join('\n')}\n`];
  return isHourly ? [unit, [`${name}.timer`, `${toTimer(daemon).join('\n')}\n`]] : [unit];
}

/** Not MemoryDenyWriteExecute: Node compiles while it runs. Not ProtectHome: that is where all of it lies. */
const HARDENING = [
  'UMask=0077',
  'NoNewPrivileges=yes',
  'ProtectSystem=full',
  'ProtectControlGroups=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
];

function toTimer({ about }: Daemon): string[] {
  const unit = ['[Unit]', `Description=Frame: ${about}, every hour`];
  return [...unit, '', '[Timer]', 'OnCalendar=hourly', '', '[Install]', 'WantedBy=timers.target'];
}

/** One word of a command line, after systemd has taken out quotes, specifiers (%) and variables ($). */
function quoteExec(word: string): string {
  const literal = escapePercent(word).replaceAll(/[\\"]/g, '\\$&').replaceAll('$', '$$$$');
  return /^[\w@=:,./+-]+$/.test(literal) ? literal : `"${literal}"`;
}

function escapePercent(text: string): string {
  return text.replaceAll('%', '%%');
}

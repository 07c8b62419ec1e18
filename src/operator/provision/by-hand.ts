import type { Customer } from '../../customers/customer.ts';
import { quote } from '../agent/chores.ts';
import type { Chore, HostFacts } from '../agent/protocol.ts';

/** What belongs to a new machine and nobody can see from here: whether it is done is for the operator to know. */
export function choresByHand(customer: Customer, { supervisor }: HostFacts, home: string): Chore[] {
  const { id, host = '' } = customer;
  return [
    ...(customer.signIn === 'broker' ? [redirectUri(customer)] : []),
    {
      sentence:
        'Keep a copy of the keys in `shared` where the machine cannot take it along, and a new one after each new entity: what they sealed opens with nothing else.',
      commands: [`(umask 077; ssh ${host} ${quote(`tar -C ${quote(home)} -cf - shared`)} > ${id}-keys.tar)`],
    },
    {
      sentence: `Turn off key expiry for ${host} in the tailnet (admin console, Machines), or give it a tag: it leaves the tailnet otherwise, after 180 days.`,
      commands: [],
    },
    ...(supervisor === 'launchd' ? MAC : []),
  ];
}

// Private

function redirectUri({ origin, entra }: Customer): Chore {
  return {
    sentence: `Add this redirect URI (platform Web) to the app ${entra.clientId ?? ''} in Entra. The command replaces those that the app has:`,
    commands: [`az ad app update --id ${entra.clientId ?? ''} --web-redirect-uris ${origin}/callback/entra`],
  };
}

const MAC: Chore[] = [
  {
    sentence:
      'With FileVault on, nothing starts after a power failure until somebody unlocks the disk at the machine. Turn it off, and keep backups encrypted:',
    commands: ['fdesetup status', 'sudo fdesetup disable'],
  },
  {
    sentence: 'The machine must come back by itself after a power failure, and never sleep:',
    commands: ['sudo pmset -a autorestart 1 sleep 0 disksleep 0'],
  },
];

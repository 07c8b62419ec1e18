import type { Customer } from '../../customers/customer.ts';

/**
 * The customer's other services as proxy/services.caddy, which the Caddyfile takes in: `{origin}/{name}` and all below it
 * goes to the service as it came, path and all. It hears where it is reached from, not from whoever asks.
 */
export function servicesInclude({ services, origin = '' }: Pick<Customer, 'services' | 'origin'>): string {
  const scheme = URL.parse(origin)?.protocol.replace(':', '') ?? 'https';
  const routes = Object.entries(services).map(
    ([name, address]) => `
@service-${name} path /${name} /${name}/*
handle @service-${name} {
	reverse_proxy ${address} {
		header_up X-Forwarded-Prefix /${name}
		header_up X-Forwarded-Proto ${scheme}
		header_up X-Forwarded-For {visitor}
	}
}
`,
  );
  return [HEADING, ...routes].join('');
}

// Private

const HEADING = '# `services` of customers.yaml, written by `frame provision`; what is changed here is lost.\n';

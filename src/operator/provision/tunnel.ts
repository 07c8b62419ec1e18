/** The ingress of the Cloudflare Tunnel to one machine, for cloudflared's config.yml. Everything else is for Caddy to say. */
export function tunnelIngress(origin: string, proxyPort: number): string {
  return `ingress:
  - hostname: ${new URL(origin).hostname}
    service: http://127.0.0.1:${proxyPort}    # cloudflared in Docker Desktop: http://host.docker.internal:${proxyPort}
    originRequest: { keepAliveTimeout: 90s, connectTimeout: 10s }
  - service: http_status:404
`;
}

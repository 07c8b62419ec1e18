import type { ClientMetadata } from './client-metadata.ts';

/**
 * What the documents of the five clients that everybody uses said in September 2026. They count only while their host
 * cannot be reached: Cloudflare turns away some networks, and then nobody there could sign in.
 */
export const KNOWN_DOCUMENTS: ReadonlyMap<string, ClientMetadata> = new Map([
  // The web, the desktop and the mobile apps.
  [
    'https://claude.ai/oauth/mcp-oauth-client-metadata',
    { name: 'Claude', redirectUris: ['https://claude.ai/api/mcp/auth_callback'] },
  ],
  [
    'https://claude.ai/oauth/claude-code-client-metadata',
    { name: 'Claude Code', redirectUris: ['http://localhost/callback', 'http://127.0.0.1/callback'] },
  ],
  [
    'https://vscode.dev/oauth/client-metadata.json',
    { name: 'Visual Studio Code', redirectUris: ['http://127.0.0.1:33418/', 'https://vscode.dev/redirect'] },
  ],
  // ChatGPT and Codex also use one document per connection, which nobody can know.
  [
    'https://chatgpt.com/oauth/client.json',
    { name: 'ChatGPT', redirectUris: ['https://chatgpt.com/connector_platform_oauth_redirect'] },
  ],
  [
    'https://chatgpt.com/oauth/codex/client.json',
    { name: 'Codex', redirectUris: ['http://127.0.0.1/callback', 'http://localhost/callback'] },
  ],
]);

import type { Product } from './product.ts';

export const CODEX: Product = {
  name: 'Codex',
  introductions: [
    {
      // As read in September 2026.
      by: 'document',
      clientId: 'https://chatgpt.com/oauth/codex/client.json',
      document: {
        client_id: 'https://chatgpt.com/oauth/codex/client.json',
        client_name: 'Codex',
        redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      redirectUri: 'http://127.0.0.1:43123/callback',
    },
    {
      // The suffix comes from the address of the MCP server: openai/codex#30460.
      by: 'registration',
      body: {
        client_name: 'Codex',
        redirect_uris: ['http://127.0.0.1:63546/callback/6MFBM1In3Ey-'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      },
      times: 1,
      redirectUri: 'http://127.0.0.1:63546/callback/6MFBM1In3Ey-',
    },
  ],
  // Those of the authorization server's metadata: openai/codex#15643.
  scopes: ['frame:read frame:write offline_access'],
  prompt: undefined,
  resource: mcpUrl => mcpUrl,
  resourceOnRefresh: false,
  // openai/codex#40928
  tokenAuth: 'basic',
  checksIssuer: true,
  // Exceptionless#2404
  refresh: { when: 'on-401', parallel: 1, comesBackWithOld: true },
};

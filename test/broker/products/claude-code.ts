import { type Product, resourceOfSdk } from './product.ts';

export const CLAUDE_CODE: Product = {
  name: 'Claude Code',
  introductions: [
    {
      // No port and no application_type: anthropics/claude-code#37747, #64705.
      by: 'document',
      clientId: 'https://claude.ai/oauth/claude-code-client-metadata',
      document: {
        client_id: 'https://claude.ai/oauth/claude-code-client-metadata',
        client_name: 'Claude Code',
        client_uri: 'https://claude.ai',
        redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      redirectUri: 'http://localhost:55611/callback',
    },
    {
      // elmohq/elmo#684 recorded it.
      by: 'registration',
      body: {
        client_name: 'Claude Code (frame)',
        redirect_uris: ['http://localhost:3118/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      },
      times: 1,
      redirectUri: 'http://localhost:3118/callback',
    },
  ],
  scopes: ['frame:read frame:write offline_access', 'frame:read frame:write'],
  prompt: 'consent',
  resource: resourceOfSdk,
  resourceOnRefresh: true,
  tokenAuth: 'none',
  // letehaha/budget-tracker#551
  checksIssuer: true,
  // Every session of the machine shares one token, and the lock is per process: anthropics/claude-code#74250, #84440.
  refresh: { when: 'early', parallel: 4, comesBackWithOld: false },
};

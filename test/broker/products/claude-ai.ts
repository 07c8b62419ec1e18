import { type Product, resourceOfSdk } from './product.ts';

/** claude.ai, Claude Desktop's connectors, mobile, Cowork: one hosted runtime. */
export const CLAUDE_AI: Product = {
  name: 'claude.ai',
  introductions: [
    {
      // anthropics/claude-ai-mcp#518; document as read in September 2026.
      by: 'document',
      clientId: 'https://claude.ai/oauth/mcp-oauth-client-metadata',
      document: {
        client_id: 'https://claude.ai/oauth/mcp-oauth-client-metadata',
        client_name: 'Claude',
        client_uri: 'https://claude.ai',
        redirect_uris: ['https://claude.ai/api/mcp/auth_callback'],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      redirectUri: 'https://claude.ai/api/mcp/auth_callback',
    },
    {
      // Twice per connect, and asks for a secret that nobody offers: anthropics/claude-ai-mcp#966, #654, #1043.
      by: 'registration',
      body: {
        client_name: 'Claude',
        redirect_uris: ['https://claude.ai/api/mcp/auth_callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_post',
        scope: 'frame:read frame:write offline_access',
      },
      times: 2,
      redirectUri: 'https://claude.ai/api/mcp/auth_callback',
    },
  ],
  // The blank in front: anthropics/claude-ai-mcp#453.
  scopes: ['frame:read frame:write offline_access', ' offline_access'],
  prompt: undefined,
  resource: resourceOfSdk,
  resourceOnRefresh: true,
  tokenAuth: 'none',
  checksIssuer: false,
  // Two egress addresses refresh the same token: anthropics/claude-ai-mcp#228, #247, #253.
  refresh: { when: 'early', parallel: 2, comesBackWithOld: false },
};

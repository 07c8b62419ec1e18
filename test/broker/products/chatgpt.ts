import type { Product } from './product.ts';

const DOCUMENT = {
  client_uri: 'https://chatgpt.com/',
  // It prefers an assertion, and takes none as well: an answer that we offer none must be enough.
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  client_name: 'ChatGPT',
  logo_uri: 'https://persistent.oaistatic.com/sonic/misc/openai-logo.png',
  token_endpoint_auth_signing_alg: 'RS256',
  jwks_uri: 'https://chatgpt.com/oauth/jwks.json',
};

export const CHATGPT: Product = {
  name: 'ChatGPT',
  introductions: [
    {
      // For servers that send `iss`; the document as read in September 2026.
      by: 'document',
      clientId: 'https://chatgpt.com/oauth/client.json',
      document: {
        ...DOCUMENT,
        client_id: 'https://chatgpt.com/oauth/client.json',
        redirect_uris: ['https://chatgpt.com/connector_platform_oauth_redirect'],
      },
      redirectUri: 'https://chatgpt.com/connector_platform_oauth_redirect',
    },
    {
      // For the others, one per connection (developers.openai.com/plugins/build/auth).
      by: 'document',
      clientId: 'https://chatgpt.com/oauth/a1B2-c3_D4/client.json',
      document: {
        ...DOCUMENT,
        client_id: 'https://chatgpt.com/oauth/a1B2-c3_D4/client.json',
        redirect_uris: ['https://chatgpt.com/connector/oauth/a1B2-c3_D4'],
      },
      redirectUri: 'https://chatgpt.com/connector/oauth/a1B2-c3_D4',
    },
    {
      by: 'registration',
      body: {
        client_name: 'ChatGPT',
        redirect_uris: ['https://chatgpt.com/connector/oauth/a1B2-c3_D4'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      times: 1,
      redirectUri: 'https://chatgpt.com/connector/oauth/a1B2-c3_D4',
    },
  ],
  // It does not add offline_access, and still wants a refresh token: supabase/auth#2628.
  scopes: ['frame:read frame:write', 'openid email frame:read frame:write'],
  prompt: undefined,
  resource: mcpUrl => mcpUrl,
  resourceOnRefresh: true,
  tokenAuth: 'none',
  checksIssuer: true,
  refresh: { when: 'on-401', parallel: 1, comesBackWithOld: false },
};

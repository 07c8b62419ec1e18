import { type Product, resourceOfSdk } from './product.ts';

/** @modelcontextprotocol/inspector: the web page, and version 2 on the command line. */
export const INSPECTOR: Product = {
  name: 'Inspector',
  introductions: [
    {
      by: 'registration',
      body: {
        redirect_uris: ['http://localhost:6274/oauth/callback'],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        client_name: 'MCP Inspector',
        client_uri: 'https://github.com/modelcontextprotocol/inspector',
        scope: '',
      },
      times: 1,
      redirectUri: 'http://localhost:6274/oauth/callback',
    },
    {
      by: 'registration',
      body: {
        redirect_uris: ['http://127.0.0.1:6276/oauth/callback'],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        client_name: 'MCP Inspector',
        client_uri: 'https://github.com/modelcontextprotocol/inspector',
        scope: 'frame:read frame:write',
        application_type: 'native',
      },
      times: 1,
      redirectUri: 'http://127.0.0.1:6276/oauth/callback',
    },
  ],
  scopes: ['frame:read frame:write offline_access', 'frame:read frame:write'],
  prompt: 'consent',
  resource: resourceOfSdk,
  resourceOnRefresh: true,
  tokenAuth: 'none',
  checksIssuer: true,
  // Each run of the command line.
  refresh: { when: 'early', parallel: 1, comesBackWithOld: false },
};

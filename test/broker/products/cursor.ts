import { type Product, resourceOfSdk } from './product.ts';

export const CURSOR: Product = {
  name: 'Cursor',
  introductions: [
    {
      // All three in one request, and a refusal of one is the end: erp-mafia/accounted#2225, bytebase/bytebase#20510.
      by: 'registration',
      body: {
        client_name: 'Cursor',
        redirect_uris: [
          'cursor://anysphere.cursor-mcp/oauth/callback',
          'https://www.cursor.com/agents/mcp/oauth/callback',
          'http://localhost:8787/callback',
        ],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      times: 1,
      redirectUri: 'http://localhost:8787/callback',
    },
    {
      // Before 3.10.17.
      by: 'registration',
      body: {
        client_name: 'Cursor',
        redirect_uris: [
          'cursor://anysphere.cursor-mcp/oauth/callback',
          'https://www.cursor.com/agents/mcp/oauth/callback',
        ],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      times: 1,
      redirectUri: 'cursor://anysphere.cursor-mcp/oauth/callback',
    },
  ],
  // What scopes_supported of the authorization server says (cursor.com/docs/context/mcp).
  scopes: ['frame:read frame:write offline_access'],
  prompt: undefined,
  resource: resourceOfSdk,
  resourceOnRefresh: true,
  tokenAuth: 'none',
  checksIssuer: false,
  refresh: { when: 'on-401', parallel: 1, comesBackWithOld: false },
};

import type { Product } from './product.ts';

export const VS_CODE: Product = {
  name: 'VS Code',
  introductions: [
    {
      // The document as read in September 2026; port 33418 may be taken: microsoft/vscode#278512.
      by: 'document',
      clientId: 'https://vscode.dev/oauth/client-metadata.json',
      document: {
        client_name: 'Visual Studio Code',
        logo_uri: 'https://code.visualstudio.com/assets/branding/code-stable.png',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        client_id: 'https://vscode.dev/oauth/client-metadata.json',
        client_uri: 'https://vscode.dev/product',
        redirect_uris: ['http://127.0.0.1:33418/', 'https://vscode.dev/redirect'],
      },
      redirectUri: 'http://127.0.0.1:59656/',
    },
    {
      // microsoft/vscode src/vs/base/common/oauth.ts
      by: 'registration',
      body: {
        client_name: 'Visual Studio Code',
        client_uri: 'https://code.visualstudio.com',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        redirect_uris: [
          'https://insiders.vscode.dev/redirect',
          'https://vscode.dev/redirect',
          'http://127.0.0.1/',
          'http://127.0.0.1:33418/',
        ],
        scope: 'frame:read frame:write',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      },
      times: 1,
      redirectUri: 'http://127.0.0.1:33418/',
    },
  ],
  // Those of the challenge.
  scopes: ['frame:read frame:write'],
  prompt: undefined,
  resource: mcpUrl => mcpUrl,
  resourceOnRefresh: false,
  tokenAuth: 'none',
  checksIssuer: false,
  refresh: { when: 'on-401', parallel: 1, comesBackWithOld: false },
};

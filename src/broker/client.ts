/** A program that a person signs in with. All of them are public: none has a secret, so none can prove who it is. */
export interface Client {
  id: string;
  /** What it calls itself. */
  name: string;
  /** Whose document describes it; undefined: nobody vouches for it. */
  host: string | undefined;
  /** It introduced itself at /register, or its id is the address of a document about it. */
  kind: 'registered' | 'document';
  /** Where a person may be sent back to: see redirect-uri.ts. */
  redirectUris: readonly string[];
}

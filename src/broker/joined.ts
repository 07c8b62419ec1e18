/** Whoever asks for what is being done already gets the outcome of that. */
export type Joined<Outcome> = (key: string, work: () => Promise<Outcome>) => Promise<Outcome>;

export function createJoined<Outcome>(): Joined<Outcome> {
  const underWay = new Map<string, Promise<Outcome>>();
  return (key, work) => {
    const known = underWay.get(key);
    if (known) return known;
    const doing = work().finally(() => underWay.delete(key));
    underWay.set(key, doing);
    return doing;
  };
}

/** Loaded before an agent: it is killed the moment that it tells FRAME_TEST_KILL_AT, `flip begun`, and not a moment later. */
const wanted = process.env.FRAME_TEST_KILL_AT;
const write = process.stdout.write.bind(process.stdout);

process.stdout.write = (text: string | Uint8Array) => {
  const { step, state } = JSON.parse(String(text));
  if (`${step} ${state}` === wanted) process.kill(process.pid, 'SIGKILL');
  return write(text);
};

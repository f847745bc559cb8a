/** What queueing theory says of the simpler fleets. Rates are per second, times in seconds. */

/** Mean wait of jobs that come by chance to one server with equal service times (M/D/1, Pollaczek and Khinchine). */
export function waitMD1(rate: number, service: number): number {
  const load = rate * service;
  return load * service / (2 * (1 - load));
}

/** Share of jobs that wait, if they come by chance to `servers` with exponential service times (Erlang's C). */
export function erlangC(servers: number, load: number): number {
  let blocked = 1; // Erlang's B, by its recursion over the servers
  for (let n = 1; n <= servers; n++) blocked = load * blocked / (n + load * blocked);
  return blocked / (1 - (load / servers) * (1 - blocked));
}

/** Mean wait of such jobs (M/M/c). */
export function waitMMc(servers: number, rate: number, service: number): number {
  const load = rate * service;
  return erlangC(servers, load) * service / (servers - load);
}

/** Mean wait with equal service times: half of that with exponential ones, which is exact for one server alone. */
export function waitMDc(servers: number, rate: number, service: number): number {
  return waitMMc(servers, rate, service) / 2;
}

/** The most workers that something which serves `limit` images a second keeps busy. */
export function mostWorkers(limit: number, batch: number, seconds: number): number {
  return Math.floor(limit * seconds / batch);
}

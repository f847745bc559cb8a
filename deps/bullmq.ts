// first: without a lock file, the queue is resolved with the client that is known by then
export { Redis } from "npm:ioredis@6.0.0";
export { DelayedError, Queue, QueueEvents, UnrecoverableError, Worker } from "npm:bullmq@6.7.0";
export type { Job } from "npm:bullmq@6.7.0";

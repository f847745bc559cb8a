export { Counter, Gauge, Histogram, Registry } from "npm:prom-client@15.1.3";

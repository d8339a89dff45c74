import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Seconds that a job may take, from one that finds nothing to do to a whole slice of a first sync. */
const JOB_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** A value for each set of labels that something has, asked for when it is scraped. */
export type Reading = { labels: Record<string, string>; value: number }

/**
 * What the process counts, for Prometheus: by access model, queue and kind, and never by account, so that it says nothing of whose mail
 * it is, and costs the same for one account and for a hundred thousand.
 */
export class Metrics {
  private readonly registry = new Registry()
  /** events that were appended, by their type */
  readonly events = this.counter('mailfold_events_total', 'Events that were appended to streams.', ['type'])
  /** operations that have ended, by their outcome */
  readonly operations = this.counter('mailfold_operations_total', 'Operations that have ended.', ['outcome'])
  /** jobs that were done, by queue, name and how they ended */
  readonly jobs = new Histogram({
    name: 'mailfold_job_seconds',
    help: 'Seconds that jobs have taken.',
    labelNames: ['queue', 'job', 'result'],
    buckets: JOB_SECONDS,
    registers: [this.registry],
  })

  constructor() {
    collectDefaultMetrics({ register: this.registry })
  }

  /**
   * Adds a value that is read at each scrape. What cannot be read then is missing from that scrape.
   *
   * @param labels their names
   */
  gauge(
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Promise<readonly Reading[]> | readonly Reading[],
  ): void {
    new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [this.registry],
      async collect() {
        this.reset()
        const readings = await Promise.resolve()
          .then(read)
          .catch(() => [])
        for (const each of readings) this.set(each.labels, each.value)
      },
    })
  }

  /** All values, as Prometheus reads them, and the media type that this is. */
  async text(): Promise<{ type: string; text: string }> {
    return { type: this.registry.contentType, text: await this.registry.metrics() }
  }

  private counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }
}

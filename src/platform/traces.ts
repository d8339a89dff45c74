import { SpanStatusCode, trace, type Attributes } from '@opentelemetry/api'

/** Ends what `startTraces` has begun, and sends what is left. */
export type StopTraces = () => Promise<void>

/**
 * Begins to trace: requests of clients, the jobs that come of them, and the commands that these give to mail servers. Where to is said by OpenTelemetry's own variables
 * (OTEL_EXPORTER_OTLP_ENDPOINT and others). What is traced says which kind of thing was done and for which account, and nothing that is in a message.
 *
 * @param role what the process is for
 */
export async function startTraces(role: string): Promise<StopTraces> {
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const sdk = new NodeSDK({ serviceName: `mailfold-${role}`, metricReaders: [], logRecordProcessors: [] })
  sdk.start()
  return () => sdk.shutdown().catch(() => undefined)
}

/** Does something as one span of a trace; without traces, that and nothing else. */
export function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  return trace.getTracer('mailfold').startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work()
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message })
      throw error
    } finally {
      span.end()
    }
  })
}

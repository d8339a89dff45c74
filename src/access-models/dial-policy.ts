import type { Platform } from '../platform/platform.js'
import type { DialPolicy } from '../protocols/dial.js'

/** How the settings have mail servers connected to. */
export function dialPolicyOf({ settings, authorities }: Pick<Platform, 'settings' | 'authorities'>): DialPolicy {
  return {
    allowPlaintext: settings.MAILFOLD_ALLOW_PLAINTEXT,
    extraAuthorities: authorities,
    connectTimeout: settings.MAILFOLD_CONNECT_TIMEOUT,
    answerTimeout: settings.MAILFOLD_ANSWER_TIMEOUT,
  }
}

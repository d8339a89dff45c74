import type { Platform } from '../platform/platform.js'
import type { DialPolicy } from '../protocols/dial.js'

/** How the settings have mail servers connected to. */
export function dialPolicyOf({ settings, secureContext }: Pick<Platform, 'settings' | 'secureContext'>): DialPolicy {
  return {
    allowPlaintext: settings.MAILFOLD_ALLOW_PLAINTEXT,
    secureContext,
    connectTimeout: settings.MAILFOLD_CONNECT_TIMEOUT,
    answerTimeout: settings.MAILFOLD_ANSWER_TIMEOUT,
  }
}

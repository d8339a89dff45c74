import type { Platform } from '../platform/platform.js'
import { lookupHost, type DialPolicy } from '../protocols/dial.js'
import { HostAddresses } from '../protocols/host-addresses.js'

/** How the settings have mail servers connected to. */
export function dialPolicyOf({ settings, secureContext }: Pick<Platform, 'settings' | 'secureContext'>): DialPolicy {
  return {
    allowPlaintext: settings.MAILFOLD_ALLOW_PLAINTEXT,
    hostAddresses: new HostAddresses(settings.MAILFOLD_MAIL_HOSTS),
    lookup: lookupHost,
    secureContext,
    connectTimeout: settings.MAILFOLD_CONNECT_TIMEOUT,
    answerTimeout: settings.MAILFOLD_ANSWER_TIMEOUT,
  }
}

/** E-mail addresses as they are written and compared here. */
import { z } from 'zod'

/** Lower-case ASCII: one mailbox is one account. RFC 5321 §4.5.3.1.3 bounds its length. */
export const emailAddress = z.email().max(254).toLowerCase()

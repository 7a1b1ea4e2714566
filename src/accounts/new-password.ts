/** What a person may choose as password. */
import { z } from 'zod'

/** Length is what counts (NIST SP 800-63B-4 §3.1.1.2); the upper bound is for the hash. */
export const newPassword = z.string().min(10).max(1024)

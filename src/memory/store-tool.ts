/** Everything the tool `store` takes, flat; each operation behind it checks its own part again. */
import { z } from 'zod'
import { changeFields } from './edit.ts'
import { feedbackFields } from './feedback.ts'
import { pinFields } from './pin.ts'
import { restoreFields, retireFields } from './retire.ts'
import { storeInput } from './store.ts'

/** For the definition of the tool alone. */
export const storeToolInput = z
  .strictObject({
    ...changeFields,
    ...retireFields,
    ...restoreFields,
    ...pinFields,
    ...feedbackFields,
  })
  .partial()
  .extend(storeInput.shape)

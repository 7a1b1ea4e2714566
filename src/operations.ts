/** Every operation of the product in one list: the table of contents of the API. */
import { auditQueryOperation } from './audit/query.ts'
import { entityNamesOperation } from './memory/complete-names.ts'
import {
  keyIssueOperation,
  keyListOperation,
  keyRevokeOperation,
  keyRotateOperation,
} from './auth/key-operations.ts'
import { clientListOperation, clientRevokeOperation } from './accounts/client-operations.ts'
import {
  memberInviteOperation,
  memberListOperation,
  memberRemoveOperation,
  memberSetOperation,
} from './accounts/member-operations.ts'
import { briefOperation } from './memory/brief.ts'
import { editOperation } from './memory/edit.ts'
import { exportOperation } from './memory/export.ts'
import { feedbackOperation } from './memory/feedback.ts'
import { forgetOperation } from './memory/forget.ts'
import { grantCreateOperation, grantListOperation, grantRevokeOperation } from './memory/grants.ts'
import { importOperation } from './memory/import.ts'
import { pinOperation } from './memory/pin.ts'
import {
  quarantineApproveOperation,
  quarantineListOperation,
  quarantineRejectOperation,
} from './memory/quarantine.ts'
import { recallOperation } from './memory/recall.ts'
import { restoreOperation, retireOperation } from './memory/retire.ts'
import { rollbackOperation } from './memory/rollback.ts'
import type { OpenedBefore } from './memory/search.ts'
import { storeOperation } from './memory/store.ts'
import { instructionsReadOperation, instructionsSetOperation } from './namespaces/instructions.ts'
import {
  namespaceListOperation,
  namespaceReadOperation,
  namespaceSetOperation,
} from './namespaces/namespace-operations.ts'
import {
  planListOperation,
  usageReadOperation,
  type UsageDependencies,
} from './namespaces/usage.ts'
import type { Embedder } from './pipeline/embed.ts'

export interface OperationDependencies extends OpenedBefore, UsageDependencies {
  /** Undefined when the embedder is `none`: memories are found by their words. */
  readonly embedder: Embedder | undefined
  /** 32 secret bytes of this installation, for page cursors. */
  readonly cursorKey: Uint8Array
  /** Tokens of a brief when nothing else is asked for; the operation's own default when left out. */
  readonly briefTokens?: number | undefined
  /** Key of the stored hashes of API keys; undefined: plain SHA-256. */
  readonly apiKeyPepper?: string | undefined
  /** The smallest limit of an API key that can be kept; 1 when left out. */
  readonly requestsPerMinuteLeast?: number | undefined
}

/** Built once by the composition root; transports, tools and commands are made from this record. */
export function createOperations(dependencies: OperationDependencies) {
  return {
    store: storeOperation(dependencies),
    edit: editOperation(dependencies),
    retire: retireOperation(dependencies),
    restore: restoreOperation(dependencies),
    pin: pinOperation(),
    feedback: feedbackOperation(),
    recall: recallOperation(dependencies),
    brief: briefOperation(dependencies),
    forget: forgetOperation(dependencies),
    export: exportOperation(dependencies),
    import: importOperation(dependencies),
    entityNames: entityNamesOperation(),
    auditQuery: auditQueryOperation(),
    quarantineList: quarantineListOperation(dependencies),
    quarantineApprove: quarantineApproveOperation(),
    quarantineReject: quarantineRejectOperation(),
    rollback: rollbackOperation(),
    memberList: memberListOperation(),
    memberInvite: memberInviteOperation(),
    memberSet: memberSetOperation(),
    memberRemove: memberRemoveOperation(),
    clientList: clientListOperation(),
    clientRevoke: clientRevokeOperation(),
    keyIssue: keyIssueOperation(dependencies),
    keyList: keyListOperation(),
    keyRotate: keyRotateOperation(dependencies),
    keyRevoke: keyRevokeOperation(),
    namespaceList: namespaceListOperation(),
    namespaceRead: namespaceReadOperation(dependencies),
    namespaceSet: namespaceSetOperation(),
    instructionsRead: instructionsReadOperation(),
    instructionsSet: instructionsSetOperation(),
    usageRead: usageReadOperation(dependencies),
    planList: planListOperation(dependencies),
    grantCreate: grantCreateOperation(),
    grantList: grantListOperation(),
    grantRevoke: grantRevokeOperation(),
  }
}

export type Operations = ReturnType<typeof createOperations>

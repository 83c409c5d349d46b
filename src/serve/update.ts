import type { ProtocolName, Service } from '../api/types';
import type { IServeSubject } from '../tokens';
import { configOf } from './config';

/**
 * What the dialog starts from to change a running service: all that it is now. Null where its model is not known.
 */
export function updateOf(service: Service): IServeSubject | null {
  if (!service.model?.id) {
    return null;
  }
  return {
    modelId: service.model.id,
    canSplit: service.can_split,
    initial: {
      update: !service.ours,
      name: service.ref.name,
      runtime: service.runtime,
      transformer_id: service.transformer?.id || null,
      protocol: protocolName(service.protocol),
      config: configOf(service.manifest)
    }
  };
}

function protocolName(protocol: string): ProtocolName {
  return protocol === 'v1' || protocol === 'v2' ? protocol : '';
}

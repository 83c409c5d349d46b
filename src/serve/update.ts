import type { Service, Verify } from '../api/types';
import { isObject } from '../api/types';
import type { IServeSubject } from '../tokens';
import { SHARE } from './model';

/**
 * What the dialog starts from to change a running service: what is left out stays as it is. Null where its model is
 * not known.
 */
export function updateOf(service: Service): IServeSubject | null {
  if (!service.model?.id) {
    return null;
  }
  // These two are shown as they are now, not as what the plan makes of nothing.
  const share = shareOf(service);
  return {
    modelId: service.model.id,
    canSplit: service.can_split,
    initial: {
      update: true,
      // New services may go to another engine than this one is on.
      ref: service.ref,
      name: service.ref.name,
      verify: service.verify as Verify,
      ...(share === null ? {} : { config: { predictor: { [SHARE]: share } } })
    }
  };
}

function shareOf({ manifest }: Service): number | null {
  const spec = isObject(manifest.spec) ? manifest.spec : {};
  const predictor = isObject(spec.predictor) ? spec.predictor : {};
  const share = predictor[SHARE];
  return typeof share === 'number' ? share : null;
}

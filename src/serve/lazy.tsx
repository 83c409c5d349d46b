import type { JSONValue } from '../api/types';
import * as React from 'react';

const Manifest = React.lazy(() => import('./manifest'));

/**
 * A manifest as text. The YAML writer is loaded when the first one is looked at.
 */
export function ManifestView(props: {
  manifest: Record<string, JSONValue>;
}): JSX.Element {
  return (
    <React.Suspense fallback={null}>
      <Manifest manifest={props.manifest} />
    </React.Suspense>
  );
}

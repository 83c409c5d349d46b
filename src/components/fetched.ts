import * as React from 'react';
import { ApiError } from '../api/errors';
import { useTrans } from './trans';

export interface IFetched<T> {
  value: T | null;
  error: ApiError | null;
  /**
   * Whether the answer about what is asked now is still to come.
   */
  isLoading: boolean;
}

/**
 * What the server answers, asked for when it is shown and again whenever `about` is another.
 *
 * @param ask Null where there is nothing to ask. It may be made anew each time: `about` says whether it asks for
 *   something else.
 * @param options.keep Whether the answer before is shown until the next one is there, as for the same thing that has
 *   changed.
 */
export function useFetched<T>(
  ask: (() => Promise<T>) | null,
  about: unknown,
  options: { keep?: boolean } = {}
): IFetched<T> {
  const trans = useTrans();
  const [answer, setAnswer] = React.useState<IAnswer<T> | null>(null);
  const isAsked = ask !== null;
  React.useEffect(() => {
    if (!ask) {
      return;
    }
    let isCurrent = true;
    const tell = (value: T | null, error: ApiError | null) => {
      if (isCurrent) {
        setAnswer({ about, value, error });
      }
    };
    ask().then(
      value => tell(value, null),
      (reason: unknown) => tell(null, ApiError.from(reason, trans))
    );
    return () => {
      isCurrent = false;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [about, isAsked, trans]);
  const isLoading = isAsked && answer?.about !== about;
  const shown = isAsked && (!isLoading || options.keep) ? answer : null;
  return {
    value: shown?.value ?? null,
    error: shown?.error ?? null,
    isLoading
  };
}

interface IAnswer<T> {
  about: unknown;
  value: T | null;
  error: ApiError | null;
}

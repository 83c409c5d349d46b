import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type { PredictBody, Prediction, ServiceRef } from '../api/types';
import { useTrans } from '../components/trans';

/**
 * A request on its way, and what came of the last one.
 */
export interface ISending {
  answer: Prediction | null;
  error: ApiError | null;
  isWaiting: boolean;
  /**
   * Sends a request; null, for want of one, takes away what came of the one before: beside what is wrong, its answer
   * would seem to be the answer to that.
   */
  send: (body: PredictBody | null) => Promise<void>;
  cancel: () => void;
}

/**
 * Sends test requests to one service, one at a time; none goes on when the form is closed.
 */
export function useSending(
  client: KaleServeClient,
  target: ServiceRef
): ISending {
  const trans = useTrans();
  const [request, setRequest] = React.useState<AbortController | null>(null);
  const [answer, setAnswer] = React.useState<Prediction | null>(null);
  const [error, setError] = React.useState<ApiError | null>(null);

  React.useEffect(() => () => request?.abort(), [request]);

  async function send(body: PredictBody | null) {
    if (!body) {
      setAnswer(null);
      setError(null);
      return;
    }
    const sending = new AbortController();
    setRequest(sending);
    try {
      const given = await client.predict(target, body, sending.signal);
      setAnswer(given);
      setError(null);
    } catch (reason) {
      if (!sending.signal.aborted) {
        setError(ApiError.from(reason, trans));
        setAnswer(null);
      }
    } finally {
      setRequest(current => (current === sending ? null : current));
    }
  }

  return {
    answer,
    error,
    isWaiting: request !== null,
    send,
    cancel: () => request?.abort()
  };
}

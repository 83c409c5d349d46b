import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeServer,
  later,
  makeActions,
  makeKale,
  makeService,
  makeVerification
} from '../../__tests__/fixtures';
import type { Service } from '../../api/types';
import { ServiceDetails } from '../details';

const show = (service: Partial<Service>, server = new FakeServer()) => {
  const kale = makeKale(server);
  const actions = makeActions();
  const details = (change: Partial<Service>) => (
    <ServiceDetails
      service={makeService('iris', change)}
      isBusy={false}
      actions={actions}
      client={kale.client}
      verifications={kale.services.verifications}
      hasRevisions
    />
  );
  const { rerender } = render(details(service));
  return { again: (change: Partial<Service>) => rerender(details(change)) };
};

const makeRevision = () => ({
  number: 2,
  created: 0,
  by: '',
  model: { id: 1, name: 'iris', version: '1' },
  transformer: null,
  changes: [],
  back_to: 0,
  newest: true,
  answers: true
});

describe('ServiceDetails', () => {
  it('offers the address to copy, and says that the external one is not verified', () => {
    show({
      url: 'http://iris-predictor.team.svc.cluster.local',
      external_url: 'http://iris.example.com'
    });

    expect(
      screen.getByText('http://iris-predictor.team.svc.cluster.local')
    ).toBeTruthy();
    expect(screen.getAllByRole('button', { name: /^Copy/ })).toHaveLength(1);
    expect(
      screen.getByText('http://iris.example.com (not verified)')
    ).toBeTruthy();
  });

  it('tells of no external address where there is none', () => {
    show({ external_url: '' });

    expect(screen.queryByText('External address')).toBeNull();
  });

  it('says what it answers, and that the recorded answers are required', () => {
    show({ method: 'predict_proba', verify: 'require' });

    expect(screen.getByText('Probabilities (predict_proba)')).toBeTruthy();
    expect(screen.getByText('required')).toBeTruthy();
  });

  it.each([
    ['Events', 'events', { items: [] }, 'No events.'],
    ['Revisions', 'revisions', { items: [makeRevision()] }, /^2: iris v1/]
  ])(
    'asks for %s once while an upload moves',
    async (fold, path, answer, expected) => {
      const slow = later<{ json: unknown }>();
      const route = `GET services/local/localhost/default/iris/${path}`;
      const server = new FakeServer().on(route, () => slow.promise);
      const moved = (done: number): Partial<Service> => ({
        revision: 2,
        upload: { artifact: 'iris', done, total: 300, error: '' },
        updated: done
      });
      const { again } = show(moved(0), server);
      await userEvent.click(screen.getByRole('button', { name: fold }));
      again(moved(100));
      again(moved(200));
      slow.resolve({ json: answer });
      expect(await screen.findByText(expected)).toBeVisible();
      expect(server.of(route)).toHaveLength(1);
      again({ revision: 3 });
      await waitFor(() => expect(server.of(route)).toHaveLength(2));
    }
  );

  it('asks for the recorded rows when it is shown', async () => {
    const verify = 'POST services/local/localhost/default/iris/verify';
    show({}, new FakeServer().on(verify, makeVerification()));

    expect(
      await screen.findByText('20 recorded rows answered as in the notebook')
    ).toBeTruthy();
  });
});

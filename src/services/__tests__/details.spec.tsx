import { render, screen } from '@testing-library/react';
import * as React from 'react';
import {
  FakeServer,
  makeActions,
  makeKale,
  makeService
} from '../../__tests__/fixtures';
import type { Service } from '../../api/types';
import { ServiceDetails } from '../details';

const show = (service: Partial<Service>) =>
  render(
    <ServiceDetails
      service={makeService('iris', service)}
      isBusy={false}
      actions={makeActions()}
      client={makeKale(new FakeServer()).client}
    />
  );

describe('ServiceDetails', () => {
  it('offers the address to copy, and says that the external one is not verified', () => {
    show({
      url: 'http://iris-predictor.team.svc.cluster.local',
      external_url: 'http://iris.example.com'
    });

    expect(screen.getByText('http://iris-predictor.team.svc.cluster.local')).toBeTruthy();
    expect(screen.getAllByRole('button', { name: /^Copy/ })).toHaveLength(1);
    expect(screen.getByText('http://iris.example.com (not verified)')).toBeTruthy();
  });

  it('tells of no external address where there is none', () => {
    show({ external_url: '' });

    expect(screen.queryByText('External address')).toBeNull();
  });
});

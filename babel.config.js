// Jest only: the host's packages are published as ES modules.
module.exports = {
  presets: [['@babel/preset-env', { targets: { node: 'current' } }]]
};

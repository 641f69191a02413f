// The addon for this platform. It finds libcalf.so beside itself.
'use strict'

const platform = `${process.platform}-${process.arch}`
if (platform !== 'linux-x64') throw new Error(`calf: there is no build for ${platform} yet, only for linux-x64`)
module.exports = require(`../../native/${platform}/calf.node`)

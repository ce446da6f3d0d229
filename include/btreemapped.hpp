#pragma once

#include <btreemapped/codec.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/range.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/replicator.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>
#include <btreemapped/uuid.hpp>
#include <btreemapped/version.hpp>

-- calendar (part): days and months since 1970, UTC.
local DAY_MS = 86400000

-- Returns the begin of the month of a day, both in days since 1970 (civil_from_days of Howard Hinnant).
local function month_begin(day)
  local of_era = (day + 719468) % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  return day - (of_year - math.floor((153 * month + 2) / 5))
end

-- Returns the begin and the end (Unix ms) of the window ('day', 'week' from Monday on, or 'month') of a time.
local function window_of(window, now)
  local day = math.floor(now / DAY_MS)
  if window == 'day' then return day * DAY_MS, (day + 1) * DAY_MS end
  if window == 'week' then
    local monday = day - (day + 3) % 7
    return monday * DAY_MS, (monday + 7) * DAY_MS
  end
  local begin = month_begin(day)
  return begin * DAY_MS, month_begin(begin + 31) * DAY_MS
end

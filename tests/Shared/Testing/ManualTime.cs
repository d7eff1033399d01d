using Microsoft.Extensions.Time.Testing;

namespace Sluice.Testing;

/// <summary>
/// A clock that only a test advances. Its timestamp frequency is unusual on purpose, so that code which treats
/// timestamps as ticks or milliseconds fails.
/// </summary>
public sealed class ManualTime(DateTimeOffset? start = null)
    : FakeTimeProvider(start ?? new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero))
{
    public override long TimestampFrequency => 7_654_321;

    public override long GetTimestamp() => (long)((GetUtcNow() - Start).TotalSeconds * TimestampFrequency);
}

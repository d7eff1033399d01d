using System.Globalization;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>The counters of a Redis server since its start.</summary>
/// <param name="Commands">Commands, with those in scripts.</param>
/// <param name="BytesIn">Bytes received.</param>
/// <param name="BytesOut">Bytes sent.</param>
/// <param name="CpuSeconds">Processor time, in seconds.</param>
internal sealed record RedisCounters(double Commands, double BytesIn, double BytesOut, double CpuSeconds)
{
    public static async Task<RedisCounters> ReadAsync(RedisFixture redis)
    {
        var info = (string)(await redis.Store.Database.ExecuteAsync("INFO", "everything"))!;
        var values = info.Split('\n')
            .Where(l => l.Contains(':', StringComparison.Ordinal))
            .Select(l => l.Trim().Split(':', 2))
            .DistinctBy(p => p[0])
            .ToDictionary(p => p[0], p => p[1]);
        return new RedisCounters(
            Number("total_commands_processed"),
            Number("total_net_input_bytes"),
            Number("total_net_output_bytes"),
            Number("used_cpu_user") + Number("used_cpu_sys"));

        double Number(string name) => double.Parse(values[name], CultureInfo.InvariantCulture);
    }
}

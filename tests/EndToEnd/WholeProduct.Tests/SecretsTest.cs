using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Workers that are processes run as the gateway's user, which is not root, and cannot read what it knows.</summary>
public sealed class SecretsTest
{
    private const string Nobody = "65534";

    private const string Key = "a-key-that-no-worker-may-see";

    private static string? WhyNot => Environment.UserName != "root" ? null
        : !File.Exists("/usr/bin/setpriv") ? "setpriv is not installed (Debian: util-linux)"
        : Reachable(Repository.Gateway) ? null : "another user than root cannot reach this checkout";

    [Fact]
    public async Task A_worker_cannot_read_the_gateways_environment()
    {
        Require.Available(WhyNot);
        var folder = Directory.CreateTempSubdirectory("sluice-secrets-").FullName;
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(folder, (UnixFileMode)0b111_111_111);
        await using (var gateway = await GatewayProcess.StartAsync("""
            templates:
              - { name: curious, command: [/bin/sh, -c, "cat /proc/$PPID/environ; cat /proc/$PPID/stat"] }
            endpoints:
              - { id: curious, template: curious, scaling: { min: 1 } }
            """, folder, new Dictionary<string, string?> { ["SLUICE_ADMIN_KEY"] = Key },
            wrapper: Environment.UserName == "root" ? ["/usr/bin/setpriv", "--reuid", Nobody, "--regid", Nobody, "--clear-groups", "--"] : null))
        {
            var told = await gateway.UntilAsync("/api/v1/endpoints/curious/workers",
                w => w["workers"]!.AsArray().Any(p => p!["lastOutput"] is JsonArray { Count: > 1 }));
            var lines = told["workers"]!.AsArray().First(p => p!["lastOutput"] is JsonArray { Count: > 1 })!["lastOutput"]!.AsArray().Select(l => (string)l!).ToList();
            Assert.Contains(lines, l => l.Contains("Permission denied", StringComparison.Ordinal));
            Assert.DoesNotContain(lines, l => l.Contains(Key, StringComparison.Ordinal));
            // It asked the right process: what anybody may read of it is there.
            Assert.Contains(lines, l => l.StartsWith($"{gateway.Process.Id} (", StringComparison.Ordinal));
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Whether others may enter every folder on the way.</summary>
    private static bool Reachable(string path)
    {
        for (var folder = Path.GetDirectoryName(path); folder is not null; folder = Path.GetDirectoryName(folder))
            if (OperatingSystem.IsWindows() || !File.GetUnixFileMode(folder).HasFlag(UnixFileMode.OtherExecute)) return false;
        return true;
    }
}

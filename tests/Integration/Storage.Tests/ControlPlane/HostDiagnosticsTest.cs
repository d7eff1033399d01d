using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Fleet;
using Sluice.Hosting.Processes;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>Programs that examine the machine get the same part of the gateway's environment as workers.</summary>
public sealed class HostDiagnosticsTest : IClassFixture<RedisFixture>, IDisposable
{
    private readonly RedisFixture redis;
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-doctor-").FullName;

    public HostDiagnosticsTest(RedisFixture redis)
    {
        this.redis = redis;
        Environment.SetEnvironmentVariable("SLUICE_ADMIN_KEY", "very-secret-admin-key");
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task The_doctor_gets_no_secret()
    {
        var program = await ProgramAsync(""": > "$0.began"; printf '{"env":"%s"}' "$(env | base64 | tr -d '\n')" """);
        var (store, time) = (new PodStore(redis.Store), new ManualTime());
        using var doctor = new HostDiagnostics(new BuiltInWorker([program], ""), new HostId("examined"), store, time,
            NullLogger<HostDiagnostics>.Instance);
        await doctor.StartAsync(default);
        HostReport? report = null;
        await Eventually.HoldsAsync(async () =>
        {
            // After its start the program has real time to answer.
            if (!File.Exists(program + ".began")) time.Advance(TimeSpan.FromSeconds(1));
            await store.RenewHostAsync("examined", HostLease.Duration, default);
            report = (await store.ReportsAsync(default)).FirstOrDefault(r => r.HostId == "examined");
            return report is not null;
        }, "the doctor's report");
        await doctor.StopAsync(default);
        var env = JsonDocument.Parse(report!.Report).RootElement.GetProperty("env").GetBytesFromBase64();
        Harmless(Encoding.UTF8.GetString(env));
    }

    [Fact]
    public async Task Nvidia_smi_gets_no_secret()
    {
        var program = await ProgramAsync("env; exit 1");
        Harmless((await new NvidiaSmi(program, TimeProvider.System).ReadAsync(default))!.Error!);
    }

    [Fact]
    public async Task An_inventory_whose_slices_cannot_be_read_is_an_error()
    {
        var program = await ProgramAsync("""
            case "$1" in
            -L) echo "Unable to determine the device handle"; exit 9 ;;
            --query-gpu*) printf 'index, uuid, name, mig.mode.current\n0, GPU-1, NVIDIA H200, Enabled\n' ;;
            esac
            """);
        var inventory = await new NvidiaSmi(program, TimeProvider.System).ReadAsync(default);
        Assert.Contains("Unable to determine the device handle (exit code 9)", inventory!.Error,
            StringComparison.Ordinal);
    }

    private static void Harmless(string environment)
    {
        Assert.Contains("PATH=", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", environment, StringComparison.Ordinal);
    }

    private async Task<string> ProgramAsync(string script)
    {
        var path = Path.Combine(folder, "program");
        await File.WriteAllTextAsync(path, "#!/bin/sh\n" + script + "\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }
}

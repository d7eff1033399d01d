using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using Sluice.Domain.Fleet;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Shared;

namespace Sluice.Hosting.Processes;

/// <summary>
/// Runs the pods of users as processes of this machine, of templates that the operator has allowed: such a process is
/// not isolated. A pod's volume is a folder, which is its working directory and its home. Processes end with the
/// gateway; the next one starts them again.
/// </summary>
public sealed class ProcessUserPodHost(ProcessPodSettings settings, HostId host, TimeProvider time) : IUserPodHost
{
    private readonly ProcessLauncher launcher = new();
    private readonly FreePorts ports = new(System.Net.IPAddress.Loopback);
    private readonly ConcurrentDictionary<string, UserPodProcess> pods = new();

    public Task<string> FindNodeAsync(CancellationToken ct) => Task.FromResult($"process-{host.Value}");

    public Task<IReadOnlyList<UserPodInstance>> ListAsync(string installation, CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<UserPodInstance>>([.. pods.Values.Select(p => p.Describe())]);

    public async Task StartAsync(UserPodStart start, Action<string> progress, CancellationToken ct)
    {
        Check(start.Pod.Spec);
        if (pods.TryGetValue(start.Pod.Id, out var running) && !running.Exited.IsCompleted) return;
        if (running is not null) Free(running);
        var folder = Path.Combine(settings.Folder, start.Pod.Id);
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, PrivateFiles.Folder);
        List<UserPodAddress> addresses =
            [.. start.Pod.Spec.OpenPorts.Select(p => Address(p.Number, p.IsHttp, ports.Allocate()))];
        try
        {
            var number = addresses.Find(a => a.Port == start.Pod.Spec.FirstHttpPort)?.Number ?? 0;
            var spec = UserPodPlaceholders.FillPort(start.Pod.Spec, number);
            var env = UserPodEnvironment.Build(start);
            env["HOME"] = folder;
            if (number > 0) env["PORT"] = number.ToString(CultureInfo.InvariantCulture);
            foreach (var address in addresses)
                env[$"PORT_{address.Port}"] = address.Number.ToString(CultureInfo.InvariantCulture);
            string[] command = [.. spec.Command, .. spec.Args];
            var process = await launcher.StartAsync(LaunchPaths.ForProcess().Command(command), env, folder);
            process.StandardInput.Close();
            pods[start.Pod.Id] = new UserPodProcess(process, start, addresses, time);
        }
        catch (Exception e)
        {
            foreach (var address in addresses) ports.Free(address.Number);
            if (e is not InvalidOperationException) throw;
            throw new UserPodStartException(e.Message, canRetry: true, e);
        }
    }

    public async Task RestartAsync(UserPod pod, CancellationToken ct)
    {
        if (!pods.TryGetValue(pod.Id, out var running)) return;
        await StopAsync(pod, ct);
        await StartAsync(running.Start, _ => { }, ct);
    }

    public async Task StopAsync(UserPod pod, CancellationToken ct)
    {
        if (!pods.TryGetValue(pod.Id, out var running)) return;
        if (!running.Exited.IsCompleted) launcher.Signal(running.Id, ProcessLauncher.Sigterm);
        var grace = Task.Delay(pod.Spec.StopGrace, time, ct);
        if (await Task.WhenAny(running.Exited, grace) == grace) launcher.Signal(running.Id, ProcessLauncher.Sigkill);
        await running.Exited.WaitAsync(ct);
        launcher.KillChildren(running.Id);
    }

    public async Task RemoveAsync(string podId, CancellationToken ct)
    {
        if (!pods.TryGetValue(podId, out var running)) return;
        if (!running.Exited.IsCompleted) launcher.Signal(running.Id, ProcessLauncher.Sigkill);
        await running.Exited.WaitAsync(ct);
        launcher.KillChildren(running.Id);
        pods.TryRemove(podId, out _);
        Free(running);
    }

    public Task<bool> HasVolumeAsync(string podId, CancellationToken ct) =>
        Task.FromResult(Directory.Exists(Path.Combine(settings.Folder, podId)));

    public Task RemoveVolumeAsync(string podId, CancellationToken ct)
    {
        var folder = Path.Combine(settings.Folder, podId);
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        return Task.CompletedTask;
    }

    public Task<IReadOnlyDictionary<string, UserPodReading>> MeasureAsync(
        IReadOnlyCollection<UserPod> measured, CancellationToken ct)
    {
        var running = measured.Select(p => pods.GetValueOrDefault(p.Id)).OfType<UserPodProcess>()
            .Where(p => !p.Exited.IsCompleted).ToList();
        var now = time.GetUtcNow();
        var sessions = SessionUse.Read(running.Select(p => p.Id).ToHashSet());
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        var readings = new Dictionary<string, UserPodReading>();
        foreach (var pod in running)
            if (sessions.TryGetValue(pod.Id, out var use))
                readings[pod.Start.Pod.Id] =
                    new UserPodReading(now, use.CpuTime, Environment.ProcessorCount, use.Memory, memory);
        return Task.FromResult<IReadOnlyDictionary<string, UserPodReading>>(readings);
    }

    public async IAsyncEnumerable<UserPodLogLine> ReadLogAsync(
        string podId, UserPodLogRange range, [EnumeratorCancellation] CancellationToken ct)
    {
        if (!pods.TryGetValue(podId, out var pod)) yield break;
        await foreach (var line in pod.ReadAsync(range, ct)) yield return line;
    }

    public void Dispose()
    {
        foreach (var pod in pods.Values.Where(p => !p.Exited.IsCompleted))
            launcher.Signal(pod.Id, ProcessLauncher.Sigkill);
    }

    private void Check(UserPodSpec spec)
    {
        if (spec.Image.Length > 0)
            throw new UserPodStartException($"image is '{spec.Image}'; expected none, because this gateway runs pods "
                + "as processes: set SLUICE_POD_HOST=docker");
        if (!settings.Templates.Contains(spec.Template))
            throw new UserPodStartException($"template is '{spec.Template}'; expected a template that "
                + "SLUICE_PROCESS_POD_TEMPLATES names, because a process is not isolated"
                + (settings.Templates.Count > 0 ? $" ({string.Join(", ", settings.Templates)})" : " (it is empty)"));
        if (spec.Gpu is not null || spec.Container.Mounts.Count > 0)
            throw new UserPodStartException("gpu and container.mounts need containers: set SLUICE_POD_HOST=docker");
    }

    private void Free(UserPodProcess pod)
    {
        foreach (var address in pod.Addresses) ports.Free(address.Number);
    }

    private static UserPodAddress Address(int port, bool isHttp, int number) =>
        new(port, "127.0.0.1", number, isHttp ? null : number);
}

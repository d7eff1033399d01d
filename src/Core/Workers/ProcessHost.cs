using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>The built-in ONNX worker: what is started for a template without a command.</summary>
/// <param name="Command">Program and arguments.</param>
/// <param name="ModelRepository">Folder with its models.</param>
public sealed record BuiltInWorker(IReadOnlyList<string> Command, string ModelRepository);

/// <summary>Runs pods as processes of this machine.</summary>
public sealed partial class ProcessHost : IDisposable
{
    private static readonly TimeSpan FirstProbe = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan SlowestProbe = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(1.2);

    /// <summary>What of the gateway's own environment a worker gets: nothing that is secret.</summary>
    private static readonly string[] Passed =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DOTNET_ROOT", "LD_LIBRARY_PATH"];

    private static readonly string[] PassedPrefixes = ["NVIDIA_", "CUDA_"];

    private readonly BuiltInWorker builtIn;
    private readonly TimeProvider time;
    private readonly ILogger<ProcessHost> logger;
    private readonly SpawnThread spawner = new();
    private readonly HashSet<int> ports = [];
    private readonly HttpClient probes = new(new SocketsHttpHandler { UseProxy = false, ConnectTimeout = ProbeTimeout })
    {
        Timeout = ProbeTimeout,
    };

    private readonly string[] wrapper;

    public ProcessHost(BuiltInWorker builtIn, TimeProvider time, ILogger<ProcessHost> logger)
    {
        (this.builtIn, this.time, this.logger) = (builtIn, time, logger);
        // Ends with the gateway even on kill -9; a session of its own keeps a terminal's Ctrl-C from it.
        wrapper = File.Exists("/usr/bin/setpriv") && File.Exists("/usr/bin/setsid")
            ? ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", "/usr/bin/setsid"] : [];
        if (wrapper.Length == 0) NoWrapper();
    }

    /// <summary>Starts a pod's process. It is not ready yet.</summary>
    /// <param name="deployment">What it is a pod of.</param>
    /// <param name="podId">Its id.</param>
    /// <param name="devices">UUIDs of the GPUs and slices that it gets, and no others; null: it sees what the gateway sees.</param>
    /// <param name="shareMiB">Its part of its device's memory; null: all.</param>
    public async Task<RunningPod> StartAsync(Deployment deployment, string podId, IReadOnlyList<string>? devices = null, long? shareMiB = null)
    {
        var port = TakePort();
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var template = deployment.Template;
        var command = (template.Command.Count > 0 ? template.Command : builtIn.Command)
            .Select(c => c.Replace("{port}", port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
        string[] all = [.. wrapper, .. command];
        var start = new ProcessStartInfo(all[0], all[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        SetEnvironment(start.Environment, deployment, podId, port, token);
        if (devices is not null) DeviceEnvironment.Set(start.Environment, deployment.Template, devices, shareMiB);
        try
        {
            var process = await spawner.StartAsync(start);
            process.StandardInput.Close();
            var address = new WorkerAddress(podId, new Uri($"http://127.0.0.1:{port}"), template.Protocol, token,
                template.Concurrency);
            return new RunningPod(process, address, deployment, time.GetTimestamp(), line => Said(podId, line));
        }
        catch (Exception e)
        {
            FreePort(port);
            throw new InvalidOperationException($"cannot start '{all[^1]}': {e.Message}", e);
        }
    }

    /// <summary>Waits for the pod's first ready answer, asking ever more slowly, and at once when it says something. Null
    /// when it is there; else why it will not come.</summary>
    public async Task<string?> WaitReadyAsync(RunningPod pod, CancellationToken ct)
    {
        var limit = pod.Deployment.Template.StartTimeout;
        var pause = FirstProbe;
        while (!pod.Exited.IsCompleted)
        {
            ct.ThrowIfCancellationRequested();
            var spoke = pod.Spoke;
            if (await ProbeAsync(pod, ct)) return null;
            if (time.GetElapsedTime(pod.Started) > limit)
                return $"not ready at {pod.Deployment.Template.ReadyPath} within {Duration.Format(limit)}";
            await Task.WhenAny(pod.Exited, spoke, Task.Delay(pause, time, ct));
            pause = pause * 1.25 > SlowestProbe ? SlowestProbe : pause * 1.25;
        }

        return await pod.Exited;
    }

    /// <summary>Whether the pod answers ready now; keeps the start stages that it tells.</summary>
    public async Task<bool> ProbeAsync(RunningPod pod, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get,
            new Uri(pod.Address.Uri, pod.Deployment.Template.ReadyPath));
        request.Version = pod.Address.Protocol == WorkerProtocol.H2c ? HttpVersion.Version20 : HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", pod.Address.Token);
        try
        {
            using var answer = await probes.SendAsync(request, ct);
            if (!answer.IsSuccessStatusCode) return false;
            if (answer.Headers.TryGetValues("Server-Timing", out var timing)) pod.Stages = Stages(timing);
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !ct.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>SIGTERM, the template's grace, SIGKILL; ends when the process has.</summary>
    public async Task StopAsync(RunningPod pod)
    {
        Signal(pod, Sigterm);
        var grace = Task.Delay(pod.Deployment.Template.StopGrace, time);
        if (await Task.WhenAny(pod.Exited, grace) == grace) Kill(pod);
        await pod.Exited;
    }

    /// <summary>SIGKILL, to it and whatever it started in its session.</summary>
    public void Kill(RunningPod pod) => Signal(pod, Sigkill);

    /// <summary>Ends the host's use of an exited pod.</summary>
    public void Forget(RunningPod pod)
    {
        // Children of a command that was no server itself must not outlive it.
        if (wrapper.Length > 0) _ = KillProcess(-pod.ProcessId, Sigkill);
        FreePort(pod.Address.Uri.Port);
        pod.Dispose();
    }

    public void Dispose() => probes.Dispose();

    private void SetEnvironment(IDictionary<string, string?> env, Deployment deployment, string podId, int port, string token)
    {
        foreach (var name in env.Keys.ToList())
            if (!Passed.Contains(name) && !PassedPrefixes.Any(p => name.StartsWith(p, StringComparison.Ordinal)))
                env.Remove(name);
        env["SLUICE_MODEL_REPOSITORY"] = builtIn.ModelRepository;
        env["SLUICE_MODELS"] = string.Join(',', deployment.Endpoint.ServedModels);
        env["SLUICE_MAX_BODY_BYTES"] = deployment.Endpoint.Forwarding.MaxBodyBytes.ToString(CultureInfo.InvariantCulture);
        foreach (var (name, value) in deployment.Template.Env) env[name] = value;
        foreach (var (name, value) in deployment.Endpoint.Env) env[name] = value;
        env["SLUICE_POD_ID"] = podId;
        env["SLUICE_POD_TOKEN"] = token;
        env["SLUICE_PORT"] = env["PORT"] = port.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>A port that is free now and that no other pod of this host was given.</summary>
    private int TakePort()
    {
        lock (ports)
        {
            while (true)
            {
                using var listener = new TcpListener(IPAddress.Loopback, 0);
                listener.Start();
                var port = ((IPEndPoint)listener.LocalEndpoint).Port;
                if (ports.Add(port)) return port;
            }
        }
    }

    private void FreePort(int port)
    {
        lock (ports) ports.Remove(port);
    }

    private void Signal(RunningPod pod, int signal)
    {
        if (pod.Exited.IsCompleted) return;
        if (signal == Sigkill && wrapper.Length > 0) _ = KillProcess(-pod.ProcessId, signal);
        _ = KillProcess(pod.ProcessId, signal);
    }

    private static StartStage[] Stages(IEnumerable<string> serverTiming) =>
    [
        .. serverTiming.SelectMany(h => h.Split(',')).Select(s => s.Trim().Split(";dur=")).Where(p => p.Length == 2
            && double.TryParse(p[1], CultureInfo.InvariantCulture, out _)).Select(p =>
            new StartStage(p[0], double.Parse(p[1], CultureInfo.InvariantCulture))),
    ];

    private const int Sigkill = 9;
    private const int Sigterm = 15;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int KillProcess(int pid, int signal);

    [LoggerMessage(LogLevel.Debug, "pod {Pod}: {Line}")]
    private partial void Said(string pod, string line);

    [LoggerMessage(LogLevel.Warning, "setpriv or setsid is missing (Debian: util-linux): workers may outlive a gateway that is killed")]
    private partial void NoWrapper();
}

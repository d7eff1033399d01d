using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Sluice.Core.Dispatch;

namespace Sluice.Core.Workers.Docker;

/// <summary>
/// Runs pods as containers of a Docker daemon, through its Engine API. Containers outlive the gateway and the daemon (with its
/// <c>live-restore</c>): they carry labels by which they are found again.
/// </summary>
public sealed partial class DockerHost : IPodHost
{
    /// <summary>A daemon that is restarted is back in seconds; a start, a stop and a kill wait so long for it.</summary>
    private static readonly TimeSpan DaemonBackWithin = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(0.2);

    /// <summary>When nobody waits for the answer.</summary>
    private static readonly TimeSpan AskPatiently = TimeSpan.FromSeconds(2);

    private readonly DockerSettings settings;
    private readonly HostId host;
    private readonly TimeProvider time;
    private readonly ILogger<DockerHost> logger;
    private readonly EngineClient engine;
    private readonly ImageStore images;

    public DockerHost(DockerSettings settings, HostId host, TimeProvider time, ILogger<DockerHost> logger)
    {
        (this.settings, this.host, this.time, this.logger) = (settings, host, time, logger);
        engine = new EngineClient(settings.Daemon, time);
        images = new ImageStore(engine, settings.RegistryConfig, time);
    }

    public bool KeepsPods => settings.KeepPods;

    public async Task<RunningPod> StartAsync(PodOrder order, Action<string> progress, CancellationToken ct)
    {
        var ordered = time.GetTimestamp();
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var body = ContainerSpec.Make(order, settings, host.Value, token);
        var image = ContainerSpec.Image(order, settings);
        var stages = new List<StartStage>();
        var begun = false;
        try
        {
            var pulled = await PatientlyAsync(() => images.EnsureAsync(image, order.Deployment.Template.Container.Pull, progress, ct), ct);
            if (pulled) Mark("pull");
            if (order.Deployment.Template.Container.ReadOnly)
                ContainerSpec.Cover(body, await PatientlyAsync(() => engine.ImageVolumesAsync(image, ct), ct), order.Deployment.Template.Container.TmpSize);
            begun = true;
            var container = await PatientlyAsync(() => CreateAsync(order.PodId, body, ct), ct);
            Mark("create");
            await PatientlyAsync(async () =>
            {
                await engine.StartAsync(container, ct);
                return container;
            }, ct);
            Mark("start");
            var info = await PatientlyAsync(() => engine.InspectAsync(container, ct), ct)
                ?? throw new InvalidOperationException("its container was removed while it was started");
            return PodOf(order, info, ordered, stages, adopted: false);
        }
        catch (Exception e) when (e is OperationCanceledException or InvalidOperationException)
        {
            // What the daemon did although it did not say so is found by the next adoption.
            if (begun) await TryRemoveAsync(ContainerSpec.Name(order.PodId));
            if (e is OperationCanceledException) throw;
            throw new InvalidOperationException(StartFailure.Explain(e.Message, image, settings), e);
        }

        void Mark(string stage) => stages.Add(new StartStage(stage,
            Math.Round(time.GetElapsedTime(ordered).TotalMilliseconds - stages.Sum(s => s.Ms), 1)));
    }

    public async Task StopAsync(RunningPod pod)
    {
        var container = (ContainerPod)pod;
        // Its own grace, not the daemon's: that one's call would end with the daemon.
        var grace = Task.Delay(pod.Deployment.Template.StopGrace, time);
        await SignalAsync(container, "SIGTERM", grace);
        if (await Task.WhenAny(pod.Exited, grace) == grace) await KillAsync(pod);
        await pod.Exited;
    }

    public async Task KillAsync(RunningPod pod)
    {
        var container = (ContainerPod)pod;
        var patience = Task.Delay(DaemonBackWithin, time);
        if (!await SignalAsync(container, "SIGKILL", patience))
            container.GiveUp($"unknown: the Docker daemon could not be asked for {DaemonBackWithin.TotalSeconds:0} s");
    }

    public async Task ForgetAsync(RunningPod pod, CancellationToken ct = default)
    {
        var container = ((ContainerPod)pod).Container;
        var removed = await TryRemoveAsync(container);
        while (!removed && pod.Unsure && !ct.IsCancellationRequested)
        {
            await Task.WhenAny(Task.Delay(AskPatiently, time, ct));
            removed = await TryRemoveAsync(container, tell: false);
        }

        pod.Dispose();
    }

    public async Task<bool> RunsAsync(string podId, CancellationToken ct) =>
        await engine.InspectAsync(ContainerSpec.Name(podId), ct) is { State.Running: true };

    public async Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<string, bool> known, CancellationToken ct)
    {
        var adopted = new List<RunningPod>();
        foreach (var found in await engine.ListAsync(PodLabels.Host, host.Value, ct))
        {
            var podId = found.Labels?.GetValueOrDefault(PodLabels.Pod) ?? "";
            if (known(podId)) continue;
            if (await AdoptAsync(found, ct) is { } pod) adopted.Add(pod);
            else await ReapAsync(found.Id, podId, found.State, ct);
        }

        return adopted;
    }

    public void Dispose() => engine.Dispose();

    /// <summary>Null: it does not run, or its labels cannot be read.</summary>
    private async Task<ContainerPod?> AdoptAsync(ContainerSummary found, CancellationToken ct)
    {
        if (found.State is not ("running" or "paused") || PodLabels.Read(found.Labels) is not { } order) return null;
        // Not one that ended, and was forgotten, since it was listed.
        if (await engine.InspectAsync(found.Id, ct) is not { State.Running: true } info) return null;
        // Another image under the name, after an upgrade: the pod serves on, and is replaced like one of an older declaration.
        var image = await engine.ImageIdAsync(ContainerSpec.Image(order, settings), ct);
        if (image is not null && image != info.Image) order = order with { Fingerprint = "another image" };
        return PodOf(order, info, time.GetTimestamp(), [], adopted: true);
    }

    private async Task ReapAsync(string container, string podId, string state, CancellationToken ct)
    {
        await engine.RemoveAsync(container, ct);
        Reaped(podId, container[..12], state);
    }

    private ContainerPod PodOf(PodOrder order, ContainerInfo info, long ordered, IReadOnlyList<StartStage> stages, bool adopted)
    {
        // What it was made with, by whichever call: a token that is not its own is refused, which is for the probe to tell.
        const string variable = "SLUICE_POD_TOKEN=";
        var token = info.Config.Env?.FirstOrDefault(e => e.StartsWith(variable, StringComparison.Ordinal))?[variable.Length..] ?? "";
        var template = order.Deployment.Template;
        var address = new WorkerAddress(order.PodId, Address(info, template.Container.Port), template.Protocol, token, template.Concurrency);
        return new ContainerPod(engine, new ContainerStart(order, info.Id, address, ordered, time.GetTimestamp(), stages, adopted), time,
            line => Said(order.PodId, line));
    }

    private Uri Address(ContainerInfo info, int port)
    {
        if (settings.Publish)
        {
            var published = info.NetworkSettings.Ports?.GetValueOrDefault($"{port}/tcp") is [var first, ..] ? first.HostPort : null;
            return new Uri($"http://127.0.0.1:{published ?? "9"}");
        }

        var ip = info.NetworkSettings.Networks?.GetValueOrDefault(settings.Network)?.IpAddress;
        // One that has exited already has no address; nothing listens on "discard" either, and its exit is told in a moment.
        return ip is { Length: > 0 } ? new Uri($"http://{ip}:{port.ToString(CultureInfo.InvariantCulture)}") : new Uri("http://127.0.0.1:9");
    }

    /// <summary>Makes the container; one of this order that is there already, because an answer was lost, is taken.</summary>
    private async Task<string> CreateAsync(string podId, JsonObject body, CancellationToken ct)
    {
        var name = ContainerSpec.Name(podId);
        try
        {
            return await engine.CreateAsync(name, body, ct);
        }
        catch (EngineException e) when (e.Status == HttpStatusCode.Conflict)
        {
            var there = await engine.InspectAsync(name, ct);
            if (there?.Config.Labels?.GetValueOrDefault(PodLabels.Pod) == podId) return there.Id;
            throw;
        }
    }

    /// <summary>Repeats a call while the daemon is away. Every call here may be repeated.</summary>
    private async Task<T> PatientlyAsync<T>(Func<Task<T>> call, CancellationToken ct)
    {
        var patience = Task.Delay(DaemonBackWithin, time, ct);
        while (true)
        {
            try
            {
                return await call();
            }
            catch (EngineException e) when (e.IsDown && !patience.IsCompleted)
            {
                await Task.Delay(AskAgain, time, ct);
            }
        }
    }

    /// <summary>Sends a signal; while the daemon is away, again and again until <paramref name="enough"/>. False: it never took it.</summary>
    private async Task<bool> SignalAsync(ContainerPod pod, string signal, Task enough)
    {
        while (!pod.Exited.IsCompleted)
        {
            try
            {
                await engine.SignalAsync(pod.Container, signal, CancellationToken.None);
                return true;
            }
            catch (EngineException e)
            {
                if (!e.IsDown) CannotSignal(pod.Container[..12], signal, e.Message);
                if (enough.IsCompleted) return false;
                await Task.WhenAny(pod.Exited, Task.Delay(AskAgain, time));
            }
        }

        return true;
    }

    private async Task<bool> TryRemoveAsync(string container, bool tell = true)
    {
        try
        {
            await engine.RemoveAsync(container, CancellationToken.None);
            return true;
        }
        catch (EngineException e)
        {
            if (tell) CannotRemove(container, e.Message);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Debug, "pod {Pod}: {Line}")]
    private partial void Said(string pod, string line);

    [LoggerMessage(LogLevel.Information, "Container {Container} of worker {Worker} was left behind ({State}) and is removed")]
    private partial void Reaped(string worker, string container, string state);

    [LoggerMessage(LogLevel.Warning, "Container {Container} could not be removed; it will be when this host is looked over: {Error}")]
    private partial void CannotRemove(string container, string error);

    [LoggerMessage(LogLevel.Warning, "Container {Container} could not be sent {Signal}: {Error}")]
    private partial void CannotSignal(string container, string signal, string error);
}

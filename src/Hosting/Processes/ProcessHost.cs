using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Models.Cache;

namespace Sluice.Hosting.Processes;

/// <summary>Runs pods as processes of this machine.</summary>
public sealed partial class ProcessHost : IPodHost
{
    private readonly BuiltInWorker builtIn;
    private readonly ModelStore models;
    private readonly TimeProvider time;
    private readonly ILogger<ProcessHost> logger;
    private readonly ProcessLauncher launcher = new();
    private readonly IPAddress address;
    private readonly bool isBound;
    private readonly FreePorts ports;
    private readonly StandbyPool standbys;
    private readonly HostId id;
    private readonly LaunchPaths paths = LaunchPaths.ForProcess();
    private readonly ConcurrentDictionary<string, WorkFolder> folders = [];

    public ProcessHost(
        BuiltInWorker builtIn,
        StandbySettings standby,
        ModelStore models,
        HostId id,
        TimeProvider time,
        ILogger<ProcessHost> logger,
        ProcessBinding? binding = null)
    {
        address = binding?.Address ?? IPAddress.Loopback;
        isBound = binding?.Address is not null;
        ports = new FreePorts(address);
        this.builtIn = builtIn;
        this.models = models;
        this.id = id;
        this.time = time;
        this.logger = logger;
        WorkFolder.DeleteLeftovers(id);
        standbys = new StandbyPool(standby, StandByAsync, time, logger);
        if (!launcher.EndsWithGateway) ProcessWrapperMissing();
    }

    public bool KeepsPods => false;

    /// <summary>Number of standby workers that are ready to become a pod.</summary>
    public int Standbys => standbys.Ready;

    public async Task<RunningPod> StartAsync(PodSpec order, Action<StartProgress> progress, CancellationToken ct)
    {
        var template = order.Deployment.Template;
        if (template.Image.Length > 0)
            throw new InvalidOperationException(
                $"image of template {template.Name} is '{template.Image}'; expected none, because this gateway runs "
                + "pods as processes: set SLUICE_POD_HOST=docker");
        var ordered = time.GetTimestamp();
        var model = order.Deployment.Endpoint is { Model: { } declared } endpoint
            ? await models.AcquireAsync(declared, endpoint.ServedModels[0], progress, ct) : null;
        var delivered = time.GetElapsedTime(ordered);
        var port = ports.Allocate();
        try
        {
            var pod = await StartAsync(order, port, model, ordered);
            if (model is { WasDownloaded: true })
                pod.Delivery = [new StartStage("download", Math.Round(delivered.TotalMilliseconds, 1))];
            return pod;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            model?.Dispose();
            ports.Free(port);
            DeleteFolder(order.PodId);
            if (e is InvalidOperationException) throw;
            throw new InvalidOperationException($"cannot create a working directory: {e.Message}", e);
        }
    }

    private async Task<ProcessPod> StartAsync(PodSpec order, int port, ModelLease? model, long ordered)
    {
        var template = order.Deployment.Template;
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var uri = NodeAddress.UriOf(address, port);
        var worker = new WorkerAddress(order.PodId, uri, template.Protocol, token, template.Concurrency);
        var env = PodEnvironment.Build(
            order, model?.Repository ?? builtIn.ModelRepository, port, token, model?.Folder);
        Complete(env);
        if (template.IsBuiltIn) builtIn.Complete(env);
        var started = time.GetTimestamp();
        var (process, output) = HandOver(order, env) is { } standby
            ? (standby.Process, standby.Output)
            : (null, null);
        if (process is null)
        {
            var folder = WorkFolder.Create(id);
            folders[order.PodId] = folder;
            process = await SpawnAsync(paths.Command([.. FillCommand(template, port)]), env, folder);
            process.StandardInput.Close();
        }

        return new ProcessPod(
            process, order, worker, (ordered, started), line => PodOutput(order.PodId, line), output, time)
        {
            Model = model,
        };
    }

    public void Prepare(IReadOnlyList<Deployment> declared) => standbys.Prepare(declared, placed: false);

    public async Task StopAsync(RunningPod pod)
    {
        Signal(pod, ProcessLauncher.Sigterm);
        var grace = Task.Delay(pod.Deployment.Template.StopGrace, time);
        if (await Task.WhenAny(pod.Exited, grace) == grace) Signal(pod, ProcessLauncher.Sigkill);
        await pod.Exited;
    }

    public Task KillAsync(RunningPod pod)
    {
        Signal(pod, ProcessLauncher.Sigkill);
        return Task.CompletedTask;
    }

    public Task ForgetAsync(RunningPod pod, CancellationToken ct = default)
    {
        // Children of a command that was no server itself must not outlive it.
        launcher.KillChildren(pod.ProcessId!.Value);
        ports.Free(pod.Address.Uri.Port);
        DeleteFolder(pod.Order.PodId);
        pod.Model?.Dispose();
        pod.Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Returns no pods: processes always end with their gateway.</summary>
    public Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<FoundPod, bool> isManaged, CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<RunningPod>>([]);

    /// <summary>Stops the standby workers. The kernel stops the pods when this process exits.</summary>
    public void Dispose() => standbys.Dispose();

    /// <summary>Turns a standby worker into the pod; null: none of the required profile is ready.</summary>
    private StandbyWorker? HandOver(PodSpec order, Dictionary<string, string> env)
    {
        while (StandbyProfile.ForOrder(order) is { } kind && standbys.Acquire(kind) is { } standby)
        {
            if (standby.TryHandOver(env.Where(v => PodEnvironment.OfOnePod.Contains(v.Key)).ToDictionary()))
            {
                folders[order.PodId] = standby.Folder;
                return standby;
            }

            standby.Dispose();
        }

        return null;
    }

    private IEnumerable<string> FillCommand(Template template, int port)
    {
        var command = template.Command.Count > 0 ? template.Command : builtIn.Command;
        var number = port.ToString(CultureInfo.InvariantCulture);
        return command.Concat(template.Args).Select(c => c.Replace("{port}", number, StringComparison.Ordinal)
            .Replace("{host}", address.ToString(), StringComparison.Ordinal));
    }

    /// <summary>Adds the variables that all workers of this host get.</summary>
    private void Complete(Dictionary<string, string> env)
    {
        paths.Complete(env);
        if (isBound) env["SLUICE_BIND"] = address.ToString();
    }

    private async Task<(Process, WorkFolder)> StandByAsync(StandbyProfile kind)
    {
        var env = kind.Variables.ToDictionary();
        Complete(env);
        builtIn.Complete(env);
        var folder = WorkFolder.Create(id);
        try
        {
            string[] flags = kind.DevicesLater ? ["--devices-later"] : [];
            return (await SpawnAsync([.. builtIn.Command, "standby", .. flags], env, folder), folder);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    private void DeleteFolder(string pod)
    {
        if (folders.TryRemove(pod, out var folder)) folder.Dispose();
    }

    private Task<Process> SpawnAsync(
        IReadOnlyList<string> command,
        IReadOnlyDictionary<string, string> env,
        WorkFolder folder) => launcher.StartAsync(command, env, folder.Path);

    private void Signal(RunningPod pod, int signal)
    {
        if (!pod.Exited.IsCompleted) launcher.Signal(pod.ProcessId!.Value, signal);
    }

    [LoggerMessage(LogLevel.Debug, "Output of worker {Pod}: {Line}")]
    private partial void PodOutput(string pod, string line);

    [LoggerMessage(LogLevel.Warning,
        "setpriv or setsid is missing (Debian: util-linux): workers may outlive a gateway that is killed")]
    private partial void ProcessWrapperMissing();
}

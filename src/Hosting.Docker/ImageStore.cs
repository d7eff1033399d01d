using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Ensures that the daemon has an image. Pods that need the same image at the same time share one pull.
/// </summary>
internal sealed class ImageStore(EngineClient engine, string registryConfig, TimeProvider time)
{
    /// <summary>A pull fails if the registry sends nothing for this long.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);

    /// <summary>Longest duration of a pull: 100 GiB at 30 MiB per second.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    /// <summary>Pause between two progress reports to the waiting starts.</summary>
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);

    private readonly Lock gate = new();
    private readonly Dictionary<string, SharedPull> pulls = [];

    /// <summary>Completes when the daemon has the image.</summary>
    /// <param name="image">The image's name.</param>
    /// <param name="policy">When the image is pulled.</param>
    /// <param name="progress">Receives a description of the progress.</param>
    /// <param name="ct">Cancels the wait; the pull continues while other starts wait for it.</param>
    /// <returns>True if the image was pulled.</returns>
    /// <exception cref="InvalidOperationException">
    /// The image is not available; the message contains the reason.
    /// </exception>
    public async Task<bool> EnsureAsync(string image, PullPolicy policy, Action<string> progress, CancellationToken ct)
    {
        if (policy != PullPolicy.Always && await engine.ImageIdAsync(image, ct) is not null) return false;
        if (policy == PullPolicy.Never)
            throw new InvalidOperationException(
                $"the Docker daemon has no image {image}, and container.pull is 'never': "
                + "build or load the image there");
        var pull = Join(image);
        try
        {
            progress(pull.Progress.Description);
            while (await Task.WhenAny(pull.Done, Task.Delay(ReportEvery, time, ct)) != pull.Done)
            {
                ct.ThrowIfCancellationRequested();
                progress(pull.Progress.Description);
            }

            await pull.Done;
            return true;
        }
        finally
        {
            Leave(pull);
        }
    }

    private SharedPull Join(string image)
    {
        lock (gate)
        {
            if (!pulls.TryGetValue(image, out var pull))
            {
                pulls[image] = pull = new SharedPull(image);
                pull.Done = Task.Run(() => PullAsync(pull));
            }

            pull.Waiting++;
            return pull;
        }
    }

    /// <summary>Removes one waiting start. The pull is cancelled when the last one leaves.</summary>
    private void Leave(SharedPull pull)
    {
        lock (gate)
        {
            if (--pull.Waiting > 0) return;
            if (pulls.GetValueOrDefault(pull.Image) == pull) pulls.Remove(pull.Image);
        }

        pull.Unwanted.Cancel();
    }

    private async Task PullAsync(SharedPull pull)
    {
        var image = pull.Image;
        using var longest = new CancellationTokenSource(Longest, time);
        using var silence = new CancellationTokenSource(Silence, time);
        using var any =
            CancellationTokenSource.CreateLinkedTokenSource(silence.Token, longest.Token, pull.Unwanted.Token);
        try
        {
            var name = ImageName.Parse(image);
            var credentials = RegistryCredentials.Find(registryConfig, name);
            await using var stream = await engine.PullAsync(name, credentials, any.Token);
            using var reader = new StreamReader(stream);
            while (await reader.ReadLineAsync(any.Token) is { } line)
            {
                silence.CancelAfter(Silence);
                pull.Progress.ReadLine(line);
            }

            if (pull.Progress.Error is { } error) throw new InvalidOperationException(error);
        }
        catch (OperationCanceledException)
        {
            var limit = longest.IsCancellationRequested
                ? $"it took longer than {Duration.Format(Longest)}"
                : $"the registry sent nothing for {Duration.Format(Silence)}";
            throw new InvalidOperationException($"image {image} could not be pulled: {limit}");
        }
        catch (EngineException e) when (e.IsDown)
        {
            throw;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or HttpRequestException)
        {
            throw new InvalidOperationException(
                $"the Docker daemon has no image {image} and could not pull it: {e.Message}", e);
        }
        finally
        {
            // A start that asks for the image after this needs a pull of its own.
            lock (gate)
                if (pulls.GetValueOrDefault(image) == pull) pulls.Remove(image);
        }
    }

    /// <summary>
    /// A pull that runs as long as at least one start waits for it. The store's lock guards <see cref="Waiting"/>.
    /// </summary>
    private sealed class SharedPull(string image)
    {
        public string Image { get; } = image;

        public ImagePull Progress { get; } = new(image);

        public CancellationTokenSource Unwanted { get; } = new();

        public Task Done { get; set; } = Task.CompletedTask;

        public int Waiting { get; set; }
    }
}

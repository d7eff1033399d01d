using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>Sees to it that the daemon has an image; pods that want the same one at the same time share its pull.</summary>
internal sealed class ImageStore(EngineClient engine, string registryConfig, TimeProvider time)
{
    /// <summary>A registry that says nothing for this long says nothing any more.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);

    /// <summary>A pull that takes longer (of 100 GiB at 30 MiB a second) is one that trickles.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    /// <summary>How often those who wait are told.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(1);

    private readonly Lock gate = new();
    private readonly Dictionary<string, SharedPull> pulls = [];

    /// <summary>Ends when the image is there; true when it was pulled for that.</summary>
    /// <exception cref="InvalidOperationException">It cannot be had; the message says why.</exception>
    public async Task<bool> EnsureAsync(string image, PullPolicy policy, Action<string> progress, CancellationToken ct)
    {
        if (policy != PullPolicy.Always && await engine.ImageIdAsync(image, ct) is not null) return false;
        if (policy == PullPolicy.Never)
            throw new InvalidOperationException($"the Docker daemon has no image {image}, and container.pull is never: build or load it there");
        var pull = Join(image);
        try
        {
            progress(pull.Progress.Words);
            while (await Task.WhenAny(pull.Done, Task.Delay(TellEvery, time, ct)) != pull.Done)
            {
                ct.ThrowIfCancellationRequested();
                progress(pull.Progress.Words);
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

    /// <summary>One that gives up does not end it for the others; the last one does.</summary>
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
        using var any = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, longest.Token, pull.Unwanted.Token);
        try
        {
            var name = ImageName.Parse(image);
            await using var stream = await engine.PullAsync(name, RegistryCredentials.Find(registryConfig, name), any.Token);
            using var reader = new StreamReader(stream);
            while (await reader.ReadLineAsync(any.Token) is { } line)
            {
                silence.CancelAfter(Silence);
                pull.Progress.Take(line);
            }

            if (pull.Progress.Error is { } error) throw new InvalidOperationException(error);
        }
        catch (OperationCanceledException)
        {
            throw new InvalidOperationException($"image {image} could not be pulled: " + (longest.IsCancellationRequested
                ? $"it took longer than {Duration.Format(Longest)}" : $"its registry said nothing for {Duration.Format(Silence)}"));
        }
        catch (EngineException e) when (e.IsDown)
        {
            throw;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or HttpRequestException)
        {
            throw new InvalidOperationException($"the Docker daemon has no image {image} and could not pull it: {e.Message}", e);
        }
        finally
        {
            // Who comes now wants another one.
            lock (gate)
                if (pulls.GetValueOrDefault(image) == pull) pulls.Remove(image);
        }
    }

    /// <summary>A pull that goes on for as long as somebody waits for it; <see cref="Waiting"/> is under the store's lock.</summary>
    private sealed class SharedPull(string image)
    {
        public string Image { get; } = image;

        public ImagePull Progress { get; } = new(image);

        public CancellationTokenSource Unwanted { get; } = new();

        public Task Done { get; set; } = Task.CompletedTask;

        public int Waiting { get; set; }
    }
}

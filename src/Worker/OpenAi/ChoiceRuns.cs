using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Sluice.Worker.Batching;
using Sluice.Worker.Generation;
using Sluice.Worker.Serving;

namespace Sluice.Worker.OpenAi;

/// <summary>Generates the texts of one response together.</summary>
/// <param name="model">The model.</param>
/// <param name="generator">The text generator of the model.</param>
internal sealed class ChoiceRuns(LoadedModel model, TextGenerator generator)
{
    /// <summary>
    /// Generates all texts, and returns each piece with its choice, after it was added. If one text fails, the others
    /// end. Further texts of a prompt begin after the first token of the first one, so that they take the prompt from
    /// the cache.
    /// </summary>
    /// <param name="choices">The texts, in the order of the prompts.</param>
    /// <param name="ct">Ends the generation before the next step.</param>
    public async IAsyncEnumerable<(Choice Choice, GeneratedPiece Piece)> RunAsync(
        IReadOnlyList<Choice> choices,
        [EnumeratorCancellation] CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        // A slow reader holds the generation of its texts only in memory: a text has a maximum number of tokens.
        var pieces = Channel.CreateUnbounded<(Choice, GeneratedPiece)>(
            new UnboundedChannelOptions { SingleReader = true });
        var running = RunAllAsync(choices, pieces.Writer, stop.Token);
        try
        {
            await foreach (var (choice, piece) in pieces.Reader.ReadAllAsync(ct))
            {
                choice.Add(piece);
                yield return (choice, piece);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }

    /// <summary>Runs all texts. Errors are in the channel.</summary>
    private async Task RunAllAsync(
        IReadOnlyList<Choice> choices,
        ChannelWriter<(Choice, GeneratedPiece)> writer,
        CancellationToken ct)
    {
        try
        {
            await Task.WhenAll(choices.Where(c => !c.HasEnded).GroupBy(c => c.Request.Prompt)
                .Select(g => RunPromptAsync([.. g], writer, ct)));
            writer.TryComplete();
        }
        catch (Exception e)
        {
            writer.TryComplete(e);
        }
    }

    private async Task RunPromptAsync(
        List<Choice> choices,
        ChannelWriter<(Choice, GeneratedPiece)> writer,
        CancellationToken ct)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = RunOneAsync(choices[0], writer, started, ct);
        if (choices.Count > 1) await Task.WhenAny(first, started.Task);
        await Task.WhenAll(choices.Skip(1).Select(c => RunOneAsync(c, writer, null, ct)).Prepend(first));
    }

    private async Task RunOneAsync(
        Choice choice,
        ChannelWriter<(Choice, GeneratedPiece)> writer,
        TaskCompletionSource? started,
        CancellationToken ct)
    {
        var count = new GenerationCount(model.Statistics, choice.Request.Emitted.Count);
        try
        {
            await foreach (var piece in generator.GenerateAsync(choice.Request, ct))
            {
                writer.TryWrite((choice, piece));
                if (piece.IsEarlier) continue;
                started?.TrySetResult();
                count.RecordTokens(piece.Tokens);
                count.RecordSent();
            }

            count.RecordSuccess();
        }
        catch (Exception e)
        {
            count.RecordFailure(e is OperationCanceledException);
            // The reader ends the other texts.
            writer.TryComplete(e);
            throw;
        }
    }
}

using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Embeddings;

/// <summary>
/// Converts texts to vectors with an encoder model. The texts of all callers wait in one queue, and are run together in
/// batches with a limited number of tokens. Thread-safe.
/// </summary>
public sealed class TextEmbedder
{
    /// <summary>Limit of the tokens of a run, with padding: 32 texts of 256 tokens.</summary>
    public const int DefaultMaxBatchTokens = 8192;

    /// <summary>Limit of the texts of a run. More texts do not make a run more efficient.</summary>
    private const int MaxBatchTexts = 256;

    /// <summary>Limit of the waiting texts that are considered for a batch. It bounds the time to select.</summary>
    private const int MaxConsidered = 1024;

    private readonly ExecutionSlots slots;
    private readonly HuggingFaceTokenizer tokenizer;
    private readonly EncoderRun encoder;
    private readonly int maxBatchTokens;
    private readonly Lock gate = new();
    private readonly LinkedList<PendingText> waiting = [];
    private readonly Histogram batchTexts = new(EmbeddingStatistics.TextBounds);
    private readonly Histogram batchTokens = new(EmbeddingStatistics.TokenBounds);
    private bool running;
    private long requests;
    private long allTexts;
    private long allTokens;

    /// <param name="model">The encoder.</param>
    /// <param name="slots">Execution slots for the runs of the model.</param>
    /// <param name="maxBatchTokens">Limit of the tokens of a run, with padding.</param>
    /// <exception cref="NotSupportedException">
    /// The model is not a supported encoder, or its tokenizer or its pooling is not supported.
    /// </exception>
    /// <exception cref="InvalidDataException">A file of the model is not valid.</exception>
    public TextEmbedder(OnnxModel model, ExecutionSlots slots, int maxBatchTokens = DefaultMaxBatchTokens)
    {
        this.slots = slots;
        this.maxBatchTokens = maxBatchTokens;
        var folder = ModelFolder.ConfigurationFolder(model.Path);
        Settings = EmbeddingSettings.Read(folder);
        encoder = new EncoderRun(model, Settings);
        tokenizer = Tokenizers.Load(folder);
    }

    /// <summary>How the vectors are made.</summary>
    public EmbeddingSettings Settings { get; }

    /// <summary>Number of values of a vector.</summary>
    public int Dimensions => encoder.Dimensions;

    /// <summary>Number of tokens in the vocabulary.</summary>
    public int VocabularySize => tokenizer.VocabularySize;

    /// <summary>Number of runs of the model so far.</summary>
    public long Runs { get; private set; }

    /// <summary>Number of texts that wait.</summary>
    public int Waiting
    {
        get
        {
            lock (gate) return waiting.Count;
        }
    }

    /// <summary>What the embedder did so far.</summary>
    public EmbeddingStatistics Statistics
    {
        get
        {
            lock (gate)
                return new EmbeddingStatistics(
                    requests, allTexts, allTokens, waiting.Count, batchTexts.View(), batchTokens.View());
        }
    }

    /// <summary>Returns whether a model is an encoder of text with a tokenizer.</summary>
    public static bool IsEmbedder(OnnxModel model) =>
        EncoderRun.IsEncoder(model)
        && File.Exists(Path.Combine(ModelFolder.ConfigurationFolder(model.Path), "tokenizer.json"));

    /// <summary>
    /// Returns a vector for each text, and how many tokens each text has. Texts with more than
    /// <see cref="EmbeddingSettings.MaxTokens"/> tokens are cut, as sentence-transformers does it.
    /// </summary>
    /// <param name="texts">The texts.</param>
    /// <param name="ct">Texts that wait are dropped when it is cancelled.</param>
    public async Task<TextEmbeddings> EmbedAsync(IReadOnlyList<string> texts, CancellationToken ct)
    {
        var sequences = new List<int[]>(texts.Count);
        foreach (var text in texts)
        {
            ct.ThrowIfCancellationRequested();
            sequences.Add(tokenizer.Encode(text, Settings.MaxTokens));
        }

        return await EmbedAsync(sequences, ct);
    }

    /// <summary>
    /// Returns a vector for each sequence of tokens, which the caller has made with the model's tokenizer. Nothing is
    /// added to a sequence. It is cut after <see cref="EmbeddingSettings.MaxTokens"/> tokens.
    /// </summary>
    /// <param name="sequences">The sequences, each with at least one token of the vocabulary.</param>
    /// <param name="ct">Sequences that wait are dropped when it is cancelled.</param>
    public async Task<TextEmbeddings> EmbedAsync(IReadOnlyList<int[]> sequences, CancellationToken ct)
    {
        var pending = sequences
            .Select(s => new PendingText(s.Length > Settings.MaxTokens ? s[..Settings.MaxTokens] : s, ct)).ToList();
        Enqueue(pending);
        var vectors = new float[pending.Count][];
        for (var i = 0; i < vectors.Length; i++) vectors[i] = await pending[i].Vector.Task.WaitAsync(ct);
        return new TextEmbeddings(vectors, [.. pending.Select(p => p.Tokens.Length)]);
    }

    private void Enqueue(List<PendingText> texts)
    {
        lock (gate)
        {
            requests++;
            allTexts += texts.Count;
            allTokens += texts.Sum(t => (long)t.Tokens.Length);
            foreach (var text in texts) waiting.AddLast(text);
            if (running || waiting.Count == 0) return;
            running = true;
        }

        _ = RunWaitingAsync();
    }

    private async Task RunWaitingAsync()
    {
        while (TakeBatch() is { } batch)
            try
            {
                // One caller's cancellation must not end the run for the others.
                var sequences = batch.ConvertAll(t => t.Tokens);
                var vectors = await slots.RunAsync(options => encoder.Run(options, sequences), CancellationToken.None);
                for (var i = 0; i < batch.Count; i++) batch[i].Vector.TrySetResult(vectors[i]);
            }
            catch (Exception e)
            {
                foreach (var text in batch) text.Fail(e);
            }
    }

    /// <summary>Removes the texts of the next run from the queue. Returns null if none waits.</summary>
    private List<PendingText>? TakeBatch()
    {
        lock (gate)
        {
            for (var node = waiting.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.Cancelled.IsCancellationRequested)
                {
                    node.Value.Vector.TrySetCanceled(node.Value.Cancelled);
                    waiting.Remove(node);
                }

                node = next;
            }

            var nodes = new List<LinkedListNode<PendingText>>();
            for (var node = waiting.First; node is not null && nodes.Count < MaxConsidered; node = node.Next)
                nodes.Add(node);
            running = nodes.Count > 0;
            if (!running) return null;
            Runs++;
            var lengths = nodes.ConvertAll(n => n.Value.Tokens.Length);
            var selected = TokenBatch.Select(lengths, maxBatchTokens, MaxBatchTexts);
            batchTexts.Add(selected.Count);
            batchTokens.Add(selected.Count * selected.Max(i => lengths[i]));
            foreach (var i in selected) waiting.Remove(nodes[i]);
            return selected.ConvertAll(i => nodes[i].Value);
        }
    }

    /// <summary>A text that waits for its vector.</summary>
    private sealed record PendingText(int[] Tokens, CancellationToken Cancelled)
    {
        public TaskCompletionSource<float[]> Vector { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Fail(Exception error)
        {
            Vector.TrySetException(error);
            // A caller that has gone does not read the error.
            _ = Vector.Task.Exception;
        }
    }
}

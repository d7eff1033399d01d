using System.Net;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Supports workers that respond before they read the whole request, for example to reject it. HTTP/2 then resets the
/// rest of the request stream. YARP treats this as a failed exchange and aborts the client's connection, although the
/// response is complete (github.com/dotnet/yarp/issues/1501). This handler discards the rest of a request after its
/// response arrived.
/// </summary>
internal sealed class EarlyResponseHandler(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request,
        CancellationToken cancellationToken)
    {
        if (request.Content is not { } content) return base.SendAsync(request, cancellationToken);
        var rest = new Rest(content);
        request.Content = rest;
        var answer = base.SendAsync(request, cancellationToken);
        rest.Answer = answer;
        return answer;
    }

    private sealed class Rest : HttpContent
    {
        private readonly HttpContent content;
        private volatile Task<HttpResponseMessage>? answer;

        public Rest(HttpContent content)
        {
            this.content = content;
            foreach (var (name, values) in content.Headers.NonValidated) Headers.TryAddWithoutValidation(name, values);
        }

        public Task<HttpResponseMessage> Answer
        {
            set => answer = value;
        }

        /// <summary>
        /// Returns whether the response arrived. The request stream has already ended, so this does not wait for the
        /// network.
        /// </summary>
        public async Task<bool> AnsweredAsync()
        {
            while (answer is null) await Task.Yield();
            return await Task.WhenAny(answer) is { IsCompletedSuccessfully: true };
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override Task SerializeToStreamAsync(
            Stream stream,
            TransportContext? context,
            CancellationToken cancellationToken) =>
            // The token is not passed on: the HTTP/2 client cancels it when the rest of the request is not needed,
            // which would abort the read of the body. The forwarder's content has its own token for real cancellation.
            content.CopyToAsync(new RestStream(stream, this), context, CancellationToken.None);

        protected override bool TryComputeLength(out long length)
        {
            length = content.Headers.ContentLength ?? 0;
            return content.Headers.ContentLength is not null;
        }
    }

    private sealed class RestStream(Stream inner, Rest rest) : Stream
    {
        private bool answered;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (answered) return ValueTask.CompletedTask;
            var writing = inner.WriteAsync(buffer, cancellationToken);
            return writing.IsCompletedSuccessfully ? writing : FinishAsync(writing.AsTask());
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override Task FlushAsync(CancellationToken cancellationToken) =>
            answered ? Task.CompletedTask : FinishAsync(inner.FlushAsync(cancellationToken)).AsTask();

        public override void Flush() => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        private async ValueTask FinishAsync(Task writing)
        {
            try
            {
                await writing;
            }
            catch (Exception)
            {
                if (!await rest.AnsweredAsync()) throw;
                answered = true;
            }
        }
    }
}
